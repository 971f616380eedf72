/**
 * The formats of names in the Kubernetes API. Each function returns what is wrong, in the API server's words, or an empty
 * list. Lengths are bytes of UTF-8.
 *
 * Source: `apimachinery/pkg/util/validation/validation.go` and `pkg/api/validate/content/` of Kubernetes.
 */

const label1123 = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain1123 = `${label1123}(\\.${label1123})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

const isLabel1123 = new RegExp(`^${label1123}$`);
const isSubdomain1123 = new RegExp(`^${subdomain1123}$`);
const isLabel1035 = new RegExp(`^${label1035}$`);
const isQualified = new RegExp(`^${qualified}$`);
const isLabelValue = new RegExp(`^(${qualified})?$`);

/** RFC 1123 label: a port's name, a namespace, and the name of a Service since Kubernetes 1.36. */
export function label1123Problems(value: string): string[] {
  const problems = tooLong(value, 63);
  if (isLabel1123.test(value)) return problems;
  if (isSubdomain1123.test(value)) return [...problems, 'must not contain dots'];
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
  return [...problems, withPattern(rule, label1123, 'my-name', '123-abc')];
}

/** RFC 1035 label: the name of a Service up to Kubernetes 1.35. */
export function label1035Problems(value: string): string[] {
  const problems = tooLong(value, 63);
  if (isLabel1035.test(value)) return problems;
  const rule =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
  return [...problems, withPattern(rule, label1035, 'my-name', 'abc-123')];
}

/** RFC 1123 subdomain: `spec.externalName`, and the names of most kinds. A single label may have any length. */
export function subdomain1123Problems(value: string): string[] {
  const problems = tooLong(value, 253);
  if (isSubdomain1123.test(value)) return problems;
  const rule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
  return [...problems, withPattern(rule, subdomain1123, 'example.com')];
}

/** One segment of a URL's path: the names of Roles and RoleBindings. */
export function pathSegmentProblems(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  return ['/', '%']
    .filter((character) => value.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** `[prefix/]name`: the key of a label or annotation, an `appProtocol`, a finalizer. */
export function qualifiedNameProblems(value: string): string[] {
  const rule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  const pattern = withPattern(rule, qualified, 'MyName', 'my.name', '123-abc');
  const slash = value.indexOf('/');
  if (slash >= 0 && value.indexOf('/', slash + 1) >= 0) {
    return [`a valid label key ${pattern} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  const name = value.slice(slash + 1);
  if (slash === 0) problems.push('prefix part must be non-empty');
  if (slash > 0) problems.push(...subdomain1123Problems(value.slice(0, slash)).map((text) => `prefix part ${text}`));
  if (name === '') problems.push('name part must be non-empty');
  else problems.push(...tooLong(name, 63, 'bytes').map((text) => `name part ${text}`));
  if (!isQualified.test(name)) problems.push(`name part ${pattern}`);
  return problems;
}

/** The value of a label. */
export function labelValueProblems(value: string): string[] {
  const problems = tooLong(value, 63, 'bytes');
  if (isLabelValue.test(value)) return problems;
  const rule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
  return [...problems, withPattern(rule, `(${qualified})?`, 'MyValue', 'my_value', '12345')];
}

/** The name of a port that a `targetPort` refers to (RFC 6335 section 5.1, lower case). */
export function portNameProblems(value: string): string[] {
  const problems = tooLong(value, 15);
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  }
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)');
  if (value.includes('--')) problems.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
}

/** A number that a port can have. */
export function portNumberProblems(value: number): string[] {
  return value >= 1 && value <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}

/** Bytes of UTF-8, as Go counts them. */
export function byteLength(value: string): number {
  return Buffer.byteLength(value, 'utf8');
}

/** The API server always counts bytes, but says so only for labels. */
function tooLong(value: string, most: number, unit: 'characters' | 'bytes' = 'characters'): string[] {
  return byteLength(value) > most ? [`must be no more than ${most} ${unit}`] : [];
}

function withPattern(rule: string, pattern: string, ...examples: string[]): string {
  const list = examples.map((example) => `'${example}', `).join(' or ');
  return `${rule} (e.g. ${list}regex used for validation is '${pattern}')`;
}
