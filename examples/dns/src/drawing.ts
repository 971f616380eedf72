import { type Resolution, ResolutionError } from '@externalname/core';
import type { Measured, Picture } from './measure.ts';

/** Draws a service and its hops, one below the other, with what each took. */
export function drawPicture(picture: Picture): string {
  const { service, target, again } = picture;
  const hops = service.result.chain.flatMap((hop) => [
    hop.name,
    `  |  CNAME, good for ${hop.ttlSeconds} s, said by ${hop.server}`,
    '  v',
  ]);
  const times = [
    ['both hops', service],
    ['second hop alone', target],
    ['from the cache', again],
  ] as const;
  return [
    ...hops,
    lastName(service),
    ...ending(service.result),
    '',
    ...times.flatMap(([label, measured]) => (measured === undefined ? [] : [timing(label, measured)])),
  ].join('\n');
}

function lastName({ name, result }: Measured): string {
  return result.chain.at(-1)?.target ?? name;
}

function ending(result: Resolution | ResolutionError): string[] {
  if (result instanceof ResolutionError) return [`  !  ${meaning[result.failure]}`];
  return result.addresses.map((entry) => {
    const type = entry.family === 4 ? 'A' : 'AAAA';
    return `  =  ${type} ${entry.address}, good for ${entry.ttlSeconds} s`;
  });
}

function timing(label: string, measured: Measured): string {
  const { queries, elapsedMillis } = measured;
  const list = queries.map((query) => `${query.type} ${query.result} ${query.elapsedMillis.toFixed(1)} ms`).join(', ');
  const time = `${elapsedMillis.toFixed(2)} ms`.padStart(12);
  return `${label.padEnd(17)}${time}  ${queries.length} ${queries.length === 1 ? 'query ' : 'queries'}  ${list}`.trimEnd();
}

const meaning: Record<ResolutionError['failure'], string> = {
  'not-found': 'does not exist: correct spec.externalName, or create the record',
  'no-address': 'exists, and has no address',
  unavailable: 'no DNS server answered for it: says nothing about the name',
  loop: 'the chain comes back to a name that it has passed',
  'too-long': 'the chain has too many aliases',
};
