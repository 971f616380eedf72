import { isBlankOrEnd, isWordCharacter, type YamlCursor, YamlSyntaxError } from './yaml-cursor.ts';

/** A tag as it is written. The handle decides what it means: `!!` and the handles that `%TAG` declares stand for prefixes. */
export interface WrittenTag {
  /** Empty if the tag is written out, as in `!<tag:yaml.org,2002:str>`. */
  readonly handle: string;
  readonly suffix: string;
}

/** `!`, `!name`, `!!str`, `!handle!name` or `!<whole>`. */
export function scanTag(cursor: YamlCursor): WrittenTag {
  const start = cursor.offset;
  const tag = cursor.unit(1) === 0x3c ? takeWhole(cursor) : takeShort(cursor);
  if (!isBlankOrEnd(cursor.unit())) throw new YamlSyntaxError('a space must follow a tag', start);
  return tag;
}

function takeWhole(cursor: YamlCursor): WrittenTag {
  const start = cursor.offset;
  cursor.skip();
  cursor.skip();
  const suffix = scanTagUri(cursor, '');
  if (cursor.unit() !== 0x3e) throw new YamlSyntaxError('a tag that begins with !< must end with >', start);
  cursor.skip();
  return { handle: '', suffix };
}

function takeShort(cursor: YamlCursor): WrittenTag {
  const handle = scanTagHandle(cursor);
  if (handle.length > 1 && handle.endsWith('!')) return { handle, suffix: scanTagUri(cursor, '') };
  const suffix = scanTagUri(cursor, handle);
  // A lone `!` is a tag of its own: it makes the value a text, whatever it looks like.
  return suffix === '' ? { handle: '', suffix: '!' } : { handle: '!', suffix };
}

/** `!`, `!!` or `!name!`, and for a tag also `!name`. */
export function scanTagHandle(cursor: YamlCursor): string {
  if (cursor.unit() !== 0x21) throw new YamlSyntaxError('the handle of a tag must begin with !', cursor.offset);
  let handle = cursor.take();
  while (isWordCharacter(cursor.unit())) handle += cursor.take();
  if (cursor.unit() === 0x21) handle += cursor.take();
  return handle;
}

/** Reads what follows a handle. `head` is the part that has been read already, as the name of `!name`. */
export function scanTagUri(cursor: YamlCursor, head: string): string {
  let uri = head.slice(1);
  let found = head !== '';
  while (isUriCharacter(cursor.unit())) {
    uri += cursor.unit() === percent ? takeOctets(cursor) : cursor.take();
    found = true;
  }
  if (!found) throw new YamlSyntaxError('a tag must have a name', cursor.offset);
  return uri;
}

const percent = 0x25;

function isUriCharacter(unit: number): boolean {
  return isWordCharacter(unit) || (!Number.isNaN(unit) && ";/?:@&=+$,.!~*'()[]%".includes(String.fromCharCode(unit)));
}

/** One character as `%` and two digits for each of its octets of UTF-8. */
function takeOctets(cursor: YamlCursor): string {
  const start = cursor.offset;
  const octets: number[] = [];
  let length = 1;
  while (octets.length < length) {
    const written = cursor.text.slice(cursor.offset, cursor.offset + 3);
    if (!/^%[\da-fA-F]{2}$/.test(written)) throw new YamlSyntaxError('% must have two hexadecimal digits', start);
    const octet = Number.parseInt(written.slice(1), 16);
    if (octets.length === 0) length = octetsAfter(octet, start);
    else if ((octet & 0xc0) !== 0x80) throw new YamlSyntaxError('% must write a character in UTF-8', start);
    octets.push(octet);
    for (let character = 0; character < 3; character += 1) cursor.skip();
  }
  return new TextDecoder().decode(Uint8Array.from(octets));
}

function octetsAfter(first: number, offset: number): number {
  if ((first & 0x80) === 0) return 1;
  if ((first & 0xe0) === 0xc0) return 2;
  if ((first & 0xf0) === 0xe0) return 3;
  if ((first & 0xf8) === 0xf0) return 4;
  throw new YamlSyntaxError('% must write a character in UTF-8', offset);
}
