import type { DrillCheck, DrillResult } from '../result/result.ts';
import { escaped } from './xml.ts';

/**
 * The result as JUnit XML, which CI systems show as tests: a suite for each switch, a case for each check. The format has no standard; this
 * keeps to what Jenkins's `junit-10.xsd` and GitLab read.
 */
export function junitReport(result: DrillResult): string {
  const { service, kind, startedAt, durationMillis, checks, stages } = result;
  const suites = stages.map(({ name }) => {
    const cases = checks.filter(({ stage }) => stage === name);
    const attributes = `name="${escaped(`drill ${service}: ${name}`)}" tests="${cases.length}" failures="${failuresOf(cases)}" errors="0"`;
    const time = `timestamp="${startedAt.slice(0, 19)}" time="${(durationMillis / 1_000 / stages.length).toFixed(3)}"`;
    return [
      `  <testsuite ${attributes} ${time}>`,
      ...cases.map((check) => testCase(check, kind)),
      '  </testsuite>',
    ].join('\n');
  });
  const all = `tests="${checks.length}" failures="${failuresOf(checks)}" errors="0" time="${(durationMillis / 1_000).toFixed(3)}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="externalname drill" ${all}>\n${suites.join('\n')}\n</testsuites>\n`;
}

function testCase({ stage, name, limit, found, passed }: DrillCheck, kind: string): string {
  const open = `    <testcase classname="externalname.drill.${escaped(`${kind}.${stage.replaceAll(' ', '-')}`)}" name="${escaped(name)}" time="0"`;
  if (passed) return `${open}/>`;
  const message = escaped(`${found}, allowed: ${limit}`);
  return `${open}>\n      <failure message="${message}" type="threshold">${escaped(`${stage}: ${name}`)}: ${message}</failure>\n    </testcase>`;
}

function failuresOf(checks: readonly DrillCheck[]): number {
  return checks.filter(({ passed }) => !passed).length;
}
