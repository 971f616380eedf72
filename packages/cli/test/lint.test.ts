import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';

const broken = `apiVersion: v1
kind: Service
metadata:
  name: webscaler-db
spec:
  type: ExternalName
  externalName: 192.0.2.7
  ports:
    - port: 70000
`;
const good = broken.replace('192.0.2.7', 'primary-db.example.com').replace(/ {2}ports:[\s\S]*/, '');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-lint-'));
  await writeFile(join(folder, 'broken.yaml'), broken);
  await writeFile(join(folder, 'good.yaml'), good);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const lint = (...args: readonly string[]) => called(['lint', ...args]);

describe('lint', () => {
  it('says nothing but the count where nothing is wrong', async () => {
    expect(await lint(join(folder, 'good.yaml'))).toEqual({
      code: 0,
      stdout: '1 file: 0 errors, 0 warnings\n',
      stderr: '',
    });
  });

  it('says the file, the line, the field, and what to write instead', async () => {
    const { code, stdout } = await lint(join(folder, 'broken.yaml'), join(folder, 'good.yaml'));
    expect(code).toBe(1);
    expect(stdout).toMatch(/broken\.yaml: line 9: error: spec\.ports\[0\]\.port: .*\[port-number-invalid\]/);
    expect(stdout).toContain('broken.yaml: line 7: warning: spec.externalName: "192.0.2.7" is an address');
    expect(stdout).toContain('kind: EndpointSlice');
    expect(stdout).toMatch(/2 files: 2 errors, 2 warnings\n$/);
  });

  it('reads stdin', async () => {
    const { code, stdout } = await called(['lint', '-'], { stdin: broken });
    expect(code).toBe(1);
    expect(stdout).toContain('<stdin>: line 9: error');
  });

  it('accepts warnings, unless they are to count', async () => {
    const warned = good.replace('primary-db.example.com', 'primary-db');
    expect(await called(['lint', '-'], { stdin: warned })).toMatchObject({ code: 0 });
    expect(await called(['lint', '-', '--strict'], { stdin: warned })).toMatchObject({ code: 1 });
  });

  it('knows the allow-list', async () => {
    const { stdout } = await lint(join(folder, 'good.yaml'), '--allowed-targets', 'secondary-db.example.com');
    expect(stdout).toContain('[target-not-allowed]');
  });

  it('writes annotations for a GitHub workflow, one line each', async () => {
    const { stdout } = await lint(join(folder, 'broken.yaml'), '-o', 'github');
    const lines = stdout.trim().split('\n');
    expect(
      lines.some((line) =>
        /^::error file=.*broken\.yaml,line=9,title=port-number-invalid::spec\.ports\[0\]/.test(line),
      ),
    ).toBe(true);
    // A hint of several lines is one line there.
    for (const line of lines) expect(line).toMatch(/^::(error|warning) /);
    expect(stdout).toContain('%0A');
  });

  it('writes SARIF with a rule for each code and a place for each result', async () => {
    const { stdout } = await lint(join(folder, 'broken.yaml'), '-o', 'sarif');
    const { version, runs } = JSON.parse(stdout);
    expect(version).toBe('2.1.0');
    const [{ tool, results }] = runs;
    for (const { ruleId, ruleIndex, locations, level } of results) {
      expect(tool.driver.rules[ruleIndex].id).toBe(ruleId);
      expect(locations[0].physicalLocation.artifactLocation.uri).toContain('broken.yaml');
      expect(locations[0].physicalLocation.region.startLine).toBeGreaterThan(0);
      expect(['error', 'warning']).toContain(level);
    }
  });

  it('writes JSON and YAML', async () => {
    const { stdout } = await lint(join(folder, 'broken.yaml'), '-o', 'json');
    expect(JSON.parse(stdout).files[0].issues.length).toBeGreaterThan(1);
    expect((await lint(join(folder, 'good.yaml'), '-o', 'yaml')).stdout).toContain('issues: []');
  });

  it('refuses a file that is not there', async () => {
    expect(await lint('/nowhere/service.yaml')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('/nowhere/service.yaml cannot be read'),
    });
  });

  it('does not let a manifest write to the terminal', async () => {
    const { stdout } = await called(['lint', '-'], {
      stdin: good.replace('primary-db.example.com', '"a\\e[31mb.example.com"'),
      columns: 80,
      environment: { NO_COLOR: '1' },
    });
    expect(stdout).not.toContain('\u001b');
  });
});
