/** A part of a text of manifests that is read on its own. */
export interface StreamPart {
  readonly kind: 'yaml' | 'json' | 'bad-separator';
  /** The text without the byte order mark that a document may begin with. */
  readonly text: string;
  /** The line of the whole text on which it begins, counted from 1. */
  readonly line: number;
}

/**
 * Splits a text as kubectl does, before anything in it is read. A byte order mark at its beginning is skipped. A text whose
 * first character is `{` is JSON to its end. Any other text is YAML, and each line that begins with `---` ends a document,
 * even inside a quoted text. Only a comment may follow the three dashes.
 *
 * A text that begins with `{` and is not JSON is YAML for kubectl since 1.33, and an error for older versions. It is always
 * `json` here, so that the result does not depend on the version.
 *
 * @param format - `yaml` for a text that is one document, whatever it begins with, like the body of a request
 *
 * Source: `NewYAMLOrJSONDecoder` and `YAMLReader` of k8s.io/apimachinery, `pkg/util/yaml`.
 */
export function* streamParts(whole: string, format: 'manifests' | 'yaml'): Generator<StreamPart> {
  const text = withoutMark(whole);
  if (format === 'yaml') {
    yield { kind: 'yaml', text, line: 1 };
    return;
  }
  if (isJson(text)) {
    yield { kind: 'json', text, line: 1 };
    return;
  }
  let start = 0;
  let startLine = 1;
  let line = 1;
  for (let at = 0; at < text.length; line += 1) {
    const newline = text.indexOf('\n', at);
    const next = newline < 0 ? text.length : newline + 1;
    if (text.startsWith('---', at)) {
      const behind = text.slice(at + 3, next);
      const isSeparator = separatorEnd.test(behind);
      if (at > start) yield { kind: 'yaml', text: lines(text.slice(start, at)), line: startLine };
      if (!isSeparator) yield { kind: 'bad-separator', text: behind, line };
      // Dashes with nothing before them belong to the document that they begin.
      if (at > start || !isSeparator) {
        start = next;
        startLine = line + 1;
      }
    }
    at = next;
  }
  if (start < text.length) yield { kind: 'yaml', text: lines(text.slice(start)), line: startLine };
}

function isJson(text: string): boolean {
  const begins = jsonStart.exec(text)?.[0];
  return begins !== undefined && begins.length <= longestSpaceBeforeJson;
}

/** How far kubectl looks for the `{`, in bytes. */
const longestSpaceBeforeJson = 4096;

/** Ends each line with a line feed, the last one too. A document may begin with its own byte order mark. */
function lines(text: string): string {
  const unified = withoutMark(text).replaceAll('\r\n', '\n');
  return unified.endsWith('\n') ? unified : `${unified}\n`;
}

function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

// White space for Go. JavaScript's \s also has U+FEFF, and lacks U+0085.
const jsonStart = /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*\{/;
const separatorEnd = /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*(?:#|$)/;
