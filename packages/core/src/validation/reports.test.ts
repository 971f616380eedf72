import { describe, expect, it } from 'vitest';
import { githubAnnotations, type Issue, sarifLog, validate } from './index.ts';

const files = [
  { file: 'k8s\\service.yaml', issues: validate('kind: Service\napiVersion: v1\nmetadata: { name: -db }\nspec: {}\n') },
  { file: 'k8s/good.yaml', issues: [] },
];
const [first] = files[0]?.issues ?? [];

describe('a SARIF log', () => {
  it('has a rule for each code, and a result for each issue that names it, the file and the line', () => {
    const log = JSON.parse(JSON.stringify(sarifLog(files, { tool: 'a linter' })));
    const [{ tool, results }] = log.runs;
    expect(log.version).toBe('2.1.0');
    expect(tool.driver.name).toBe('a linter');
    expect(results).toHaveLength(files[0]?.issues.length ?? 0);
    for (const { ruleId, ruleIndex, level, locations } of results) {
      expect(tool.driver.rules[ruleIndex]).toMatchObject({ id: ruleId, help: { text: expect.any(String) } });
      expect(['error', 'warning']).toContain(level);
      expect(locations[0].physicalLocation.artifactLocation.uri).toBe('k8s/service.yaml');
    }
    expect(results[0].locations[0].physicalLocation.region.startLine).toBe(first?.line);
  });
});

describe('annotations of a GitHub workflow', () => {
  it('are a line for each issue, which what it says cannot leave', () => {
    const issue: Issue = {
      code: 'name-invalid',
      severity: 'error',
      path: '',
      message: '100%\nof it',
      hint: 'Mend: it.',
      source: 'a test',
      line: 3,
    };
    expect(githubAnnotations([{ file: 'a,b:c.yaml', issues: [issue] }])).toEqual([
      '::error file=a%2Cb%3Ac.yaml,line=3,title=name-invalid::100%25%0Aof it. Mend: it.',
    ]);
  });

  it('are none where nothing is wrong', () => {
    expect(githubAnnotations([{ file: 'good.yaml', issues: [] }])).toEqual([]);
  });
});
