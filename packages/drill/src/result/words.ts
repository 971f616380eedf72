/** `380 ms`, `5.2 s`, `3 min`: for people. */
export function inWords(millis: number): string {
  if (millis < 1_000) return `${Math.round(millis)} ms`;
  if (millis < 60_000) return `${(millis / 1_000).toFixed(1)} s`;
  return `${Math.round(millis / 60_000)} min`;
}
