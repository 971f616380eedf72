import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { readYaml } from '@externalname/core/internal-yaml';
import { KubernetesConfigError } from './errors.ts';

/**
 * The content of a kubeconfig: of one file, or of several that were merged. Fields have the names that they have in the file;
 * paths are absolute, and an empty text counts as absent.
 *
 * Source: Kubernetes reference, "kubeconfig (v1)".
 */
export interface Kubeconfig {
  readonly currentContext: string | undefined;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly users: ReadonlyMap<string, User>;
  readonly contexts: ReadonlyMap<string, Context>;
}

/** Where an API server is, and how to know it. */
export interface Cluster {
  readonly name: string;
  readonly server: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly certificateAuthority: string | undefined;
  readonly certificateAuthorityData: Buffer | undefined;
  readonly proxyUrl: string | undefined;
  /** What else an exec plugin is told, see {@link ExecPlugin.provideClusterInfo}. */
  readonly execConfig: unknown;
}

/** How to log in. */
export interface User {
  readonly name: string;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly clientCertificate: string | undefined;
  readonly clientCertificateData: Buffer | undefined;
  readonly clientKey: string | undefined;
  readonly clientKeyData: Buffer | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly as: string | undefined;
  readonly asUid: string | undefined;
  readonly asGroups: readonly string[];
  readonly asUserExtra: Readonly<Record<string, readonly string[]>>;
  readonly exec: ExecPlugin | undefined;
  readonly authProvider: { readonly name: string | undefined; readonly config: unknown } | undefined;
}

/** A program that prints credentials. Source: Kubernetes reference, "Client Authentication (v1)". */
export interface ExecPlugin {
  readonly command: string | undefined;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string | undefined; readonly value: string }[];
  readonly apiVersion: string | undefined;
  readonly interactiveMode: string | undefined;
  readonly provideClusterInfo: boolean;
}

/** Which cluster, as whom, and in which namespace. */
export interface Context {
  readonly name: string;
  readonly cluster: string | undefined;
  readonly user: string | undefined;
  readonly namespace: string | undefined;
}

/**
 * Reads the text of a kubeconfig file as kubectl does: an empty file sets nothing, unknown fields are ignored, and relative
 * paths start from the folder of `file`.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG` if kubectl could not read it either. The message contains no
 * value of the file.
 */
export function parseKubeconfig(text: string, file: string): Kubeconfig {
  const folder = resolve(dirname(file));
  const [document] = readYaml(text);
  const problem = document?.problems[0];
  if (problem !== undefined) throw new KubernetesConfigError(`${file}: line ${problem.line} is not valid YAML`);
  const root = new Fields(document?.value ?? {}, file);
  const kind = root.text('kind') ?? 'Config';
  const apiVersion = root.text('apiVersion') ?? 'v1';
  if (kind !== 'Config' || apiVersion !== 'v1') {
    throw new KubernetesConfigError(`${file} is not a kubeconfig: its kind must be Config and its apiVersion v1`);
  }
  return {
    currentContext: root.text('current-context'),
    clusters: named(root, 'clusters', 'cluster', (name, fields) => readCluster(name, fields, folder)),
    users: named(root, 'users', 'user', (name, fields) => readUser(name, fields, folder)),
    contexts: named(root, 'contexts', 'context', readContext),
  };
}

/** The entries of a list by their names. kubectl accepts each name only once. */
function named<T>(root: Fields, list: string, field: string, read: (name: string, fields: Fields) => T) {
  const entries = new Map<string, T>();
  for (const entry of root.entries(list)) {
    const name = entry.text('name') ?? '';
    if (entries.has(name))
      throw new KubernetesConfigError(`${root.path}: ${list} names "${name}" twice: leave one out`);
    entries.set(name, read(name, entry.fields(field) ?? new Fields({}, entry.path)));
  }
  return entries;
}

function readCluster(name: string, fields: Fields, folder: string): Cluster {
  const extension = fields.entries('extensions').find((entry) => entry.text('name') === execExtension);
  return {
    name,
    server: fields.text('server'),
    tlsServerName: fields.text('tls-server-name'),
    insecureSkipTlsVerify: fields.flag('insecure-skip-tls-verify'),
    certificateAuthority: fields.file('certificate-authority', folder),
    certificateAuthorityData: fields.data('certificate-authority-data'),
    proxyUrl: fields.text('proxy-url'),
    execConfig: extension?.value('extension'),
  };
}

function readUser(name: string, fields: Fields, folder: string): User {
  const exec = fields.fields('exec');
  const authProvider = fields.fields('auth-provider');
  return {
    name,
    token: fields.text('token'),
    tokenFile: fields.file('tokenFile', folder),
    clientCertificate: fields.file('client-certificate', folder),
    clientCertificateData: fields.data('client-certificate-data'),
    clientKey: fields.file('client-key', folder),
    clientKeyData: fields.data('client-key-data'),
    username: fields.text('username'),
    password: fields.text('password'),
    as: fields.text('as'),
    asUid: fields.text('as-uid'),
    asGroups: fields.texts('as-groups'),
    asUserExtra: fields.textLists('as-user-extra'),
    exec: exec && readExec(exec, folder),
    authProvider: authProvider && { name: authProvider.text('name'), config: authProvider.value('config') },
  };
}

function readExec(fields: Fields, folder: string): ExecPlugin {
  const command = fields.text('command');
  return {
    // A bare name is looked for in PATH.
    command: command?.includes(sep) ? absolute(command, folder) : command,
    args: fields.texts('args'),
    env: fields.entries('env').map((entry) => ({ name: entry.text('name'), value: entry.text('value') ?? '' })),
    apiVersion: fields.text('apiVersion'),
    interactiveMode: fields.text('interactiveMode'),
    provideClusterInfo: fields.flag('provideClusterInfo'),
  };
}

function readContext(name: string, fields: Fields): Context {
  return {
    name,
    cluster: fields.text('cluster'),
    user: fields.text('user'),
    namespace: fields.text('namespace'),
  };
}

/** The fields of one object of the file, each read by its type. A null counts as absent, as in Go's JSON. */
class Fields {
  /** Where the object is: `<file>` or `<file>: users[0].user`. */
  readonly path: string;
  readonly #object: Readonly<Record<string, unknown>>;

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, 'an object');
    this.#object = value as Readonly<Record<string, unknown>>;
    this.path = path;
  }

  value(name: string): unknown {
    return (Object.hasOwn(this.#object, name) ? this.#object[name] : undefined) ?? undefined;
  }

  /** A text. An empty one counts as absent, as for kubectl. */
  text(name: string): string | undefined {
    const value = this.value(name);
    if (value !== undefined && typeof value !== 'string') throw wrongType(this.#at(name), 'a text: put it in quotes');
    return value || undefined;
  }

  flag(name: string): boolean {
    const value = this.value(name) ?? false;
    if (typeof value !== 'boolean') throw wrongType(this.#at(name), 'true or false');
    return value;
  }

  /** A path, made absolute. */
  file(name: string, folder: string): string | undefined {
    const path = this.text(name);
    return path === undefined ? undefined : absolute(path, folder);
  }

  /** Bytes in base64. */
  data(name: string): Buffer | undefined {
    const text = this.text(name)?.replace(/[\r\n]/g, '');
    if (text === undefined) return undefined;
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
      throw wrongType(this.#at(name), 'base64');
    }
    return Buffer.from(text, 'base64');
  }

  fields(name: string): Fields | undefined {
    const value = this.value(name);
    return value === undefined ? undefined : new Fields(value, this.#at(name));
  }

  entries(name: string): Fields[] {
    return this.#list(name).map((entry, index) => new Fields(entry ?? {}, `${this.#at(name)}[${index}]`));
  }

  texts(name: string): string[] {
    return this.#list(name).map((entry, index) => {
      if (typeof entry !== 'string') throw wrongType(`${this.#at(name)}[${index}]`, 'a text: put it in quotes');
      return entry;
    });
  }

  textLists(name: string): Record<string, string[]> {
    const object = this.fields(name);
    if (object === undefined) return {};
    return Object.fromEntries(Object.keys(object.#object).map((key) => [key, object.texts(key)]));
  }

  #list(name: string): readonly unknown[] {
    const value = this.value(name) ?? [];
    if (!Array.isArray(value)) throw wrongType(this.#at(name), 'a list');
    return value;
  }

  #at(name: string): string {
    return this.path.includes(': ') ? `${this.path}.${name}` : `${this.path}: ${name}`;
  }
}

function wrongType(path: string, expected: string): KubernetesConfigError {
  return new KubernetesConfigError(`${path} is not ${expected}`);
}

function absolute(path: string, folder: string): string {
  return isAbsolute(path) ? path : resolve(folder, path);
}

const execExtension = 'client.authentication.k8s.io/exec';
