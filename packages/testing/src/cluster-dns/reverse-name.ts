import { labelsOf } from './message.ts';

/** Whether the name is in one of the two zones that addresses are looked up in (RFC 1035 section 3.5, RFC 3596). */
export function isReverseName(name: string): boolean {
  return /(?:^|\.)(?:in-addr|ip6)\.arpa\.?$/i.test(name);
}

/** The address that a reverse name spells, IPv6 in its short form; undefined if it spells none. */
export function addressOfReverseName(name: string): string | undefined {
  const labels = labelsOf(name.toLowerCase());
  const top = labels.splice(-2).join('.');
  labels.reverse();
  if (top === 'in-addr.arpa' && labels.length === 4) {
    return labels.every((label) => /^(?:0|[1-9]\d{0,2})$/.test(label) && Number(label) < 256)
      ? labels.join('.')
      : undefined;
  }
  if (top === 'ip6.arpa' && labels.length === 32 && labels.every((label) => /^[0-9a-f]$/.test(label))) {
    const groups = labels.join('').match(/.{4}/g) ?? [];
    return shortAddress(groups.join(':'));
  }
  return undefined;
}

/** An IPv6 address in the form of RFC 5952, so that two spellings compare equal. Anything else comes back as it is. */
export function shortAddress(address: string): string {
  if (!address.includes(':')) return address;
  try {
    return new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}
