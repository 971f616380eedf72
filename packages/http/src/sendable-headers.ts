import type { Dispatcher } from 'undici';

type Headers = Dispatcher.DispatchOptions['headers'];

/**
 * The headers of a request as undici 7 takes them.
 *
 * - Without `Host`, if the pool is to write the one of its target.
 * - With one `Content-Length`. `fetch` of Node.js 20 and 22 and of undici 6 adds its own to the one that the caller wrote (`5, 5`), which
 *   undici 7 refuses; what is repeated means the same as once (RFC 9110 section 8.6).
 *
 * Most requests have neither: they get their own headers back, and pay for a look at each name.
 */
export function sendableHeaders(headers: Headers, dropsHost: boolean): Headers {
  if (headers == null) return headers;
  if (Array.isArray(headers)) return sendableList(headers, dropsHost);
  if (Symbol.iterator in headers) return sendableList([...headers].flat() as string[], dropsHost);
  for (const name of Object.keys(headers)) {
    if (!needsChange(name, headers[name], dropsHost)) continue;
    const kept = Object.entries(headers).filter(([each]) => !(dropsHost && isNamed(each, 'host')));
    return Object.fromEntries(kept.map(([each, value]) => [each, changed(each, value)]));
  }
  return headers;
}

function sendableList(headers: string[], dropsHost: boolean): string[] {
  for (let at = 0; at < headers.length; at += 2) {
    if (!needsChange(headers[at], headers[at + 1], dropsHost)) continue;
    const kept: string[] = [];
    for (let index = 0; index < headers.length; index += 2) {
      const [name = '', value = ''] = headers.slice(index, index + 2);
      if (!(dropsHost && isNamed(name, 'host'))) kept.push(name, changed(name, value));
    }
    return kept;
  }
  return headers;
}

function needsChange(name: unknown, value: unknown, dropsHost: boolean): boolean {
  return (dropsHost && isNamed(name, 'host')) || (isNamed(name, 'content-length') && onceIfRepeated(value) !== value);
}

function changed<Value>(name: unknown, value: Value): Value {
  return isNamed(name, 'content-length') ? onceIfRepeated(value) : value;
}

function onceIfRepeated<Value>(value: Value): Value {
  if (typeof value !== 'string' || !value.includes(',')) return value;
  const [first = '', ...others] = value.split(',').map((each) => each.trim());
  return others.every((each) => each === first) ? (first as Value & string) : value;
}

// Headers may be bytes, too.
function isNamed(name: unknown, wanted: string): boolean {
  const text = typeof name === 'string' ? name : String(name);
  return text.length === wanted.length && text.toLowerCase() === wanted;
}
