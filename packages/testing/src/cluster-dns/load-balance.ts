import type { Random } from '@externalname/core';
import type { DnsAnswer, DnsRecord } from './message.ts';

/**
 * Puts the addresses of an answer into a random order and the aliases before them, as CoreDNS's `loadbalance` plugin does.
 *
 * Source: CoreDNS `plugin/loadbalance/loadbalance.go`.
 */
export function balance(answer: DnsAnswer, random: Random): DnsAnswer {
  if (answer.rcode !== 'NOERROR') return answer;
  return {
    ...answer,
    answer: reorder(answer.answer, random),
    authority: reorder(answer.authority, random),
    additional: reorder(answer.additional, random),
  };
}

function reorder(records: readonly DnsRecord[], random: Random): readonly DnsRecord[] {
  if (records.length <= 1) return records;
  const of = (...types: string[]) => records.filter((record) => types.includes(record.type));
  const rest = records.filter((record) => !['CNAME', 'A', 'AAAA', 'MX'].includes(record.type));
  return [...of('CNAME'), ...rest, ...shuffle(of('A', 'AAAA'), random), ...shuffle(of('MX'), random)];
}

function shuffle(records: DnsRecord[], random: Random): DnsRecord[] {
  const left = [...records];
  const shuffled: DnsRecord[] = [];
  while (left.length > 0) shuffled.push(...left.splice(Math.floor(random() * left.length), 1));
  return shuffled;
}
