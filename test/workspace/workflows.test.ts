import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, '.github/workflows');
const workflows = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);
const scripts = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object }).scripts;

describe.each(workflows)('the workflow %s', (_, text) => {
  it('names every action by the digest of its commit, with its version beside it', () => {
    expect(text).toContain('uses:');
    expect(unpinned(text)).toEqual([]);
  });

  it('leaves no token in a working copy', () => {
    expect(text.match(/persist-credentials: false/g)?.length).toBe(text.match(/actions\/checkout@/g)?.length);
  });

  it('may read and nothing else, but for a job that publishes, which has an identity to prove where that was built', () => {
    expect(text).toMatch(/^permissions: \{ contents: read \}$/m);
    const releases = text.includes('npm publish') ? ['id-token: write'] : [];
    const deploys = text.includes('actions/deploy-pages@') ? ['pages: write', 'id-token: write'] : [];
    expect(text.match(/\w[\w-]*: write/g) ?? []).toEqual([...releases, ...deploys]);
  });

  it('gives the right to write to no job that runs code of the repository or of a registry, but for the one that releases', () => {
    const writing = jobs(text).filter((job) => /: write$/m.test(job) && !job.includes('npm publish'));
    expect(writing.filter((job) => /\brun:|actions\/checkout@/.test(job))).toEqual([]);
  });

  it('publishes with provenance only', () => {
    const commands = text.match(/npm publish.*/g) ?? [];
    expect(commands.filter((command) => !/ --provenance\b/.test(command))).toEqual([]);
  });

  it('runs scripts that package.json has', () => {
    const named = [...text.matchAll(/pnpm@[\d.]+ ([\w:]+)/g)].map(([, script = '']) => script);
    const inMatrix = [...text.matchAll(/script: \[(.*)\]/g)].flatMap(([, list = '']) => list.match(/[\w:]+/g) ?? []);
    expect([...named, ...inMatrix].filter((script) => !(script in scripts))).toEqual([]);
  });
});

describe('the site', () => {
  const [, text = ''] = workflows.find(([, each]) => each.includes('actions/deploy-pages@')) ?? [];

  it('is published from main alone, as the static files that the tests of the site have seen', () => {
    expect(text).toMatch(/^on:\n {2}push: \{ branches: \[main\] \}\n(?: {2}workflow_dispatch:\n)?\n/m);
    const [build = '', deploy = ''] = jobs(text);
    const steps = ['site', '--dir docs/site --ignore-workspace test', 'upload-pages-artifact@'].map((step) =>
      build.search(new RegExp(`(?:pnpm@[\\d.]+ |actions/)${step}\\b`)),
    );
    expect(steps).not.toContain(-1);
    expect(steps).toEqual(steps.toSorted((one, other) => one - other));
    expect(build).toContain('path: docs/site/dist/site');
    expect(deploy).toMatch(/needs: \w+/);
  });
});

describe('an action', () => {
  const digest = '0123456789abcdef0123456789abcdef01234567';

  it.each([
    ['a tag', 'actions/checkout@v4'],
    ['a whole version', 'actions/checkout@v4.2.2'],
    ['a branch', 'actions/checkout@main'],
    ['a digest that is cut', 'actions/checkout@0123456 # v4.2.2'],
    ['a digest without its version', `actions/checkout@${digest}`],
    ['a digest with a version that moves', `actions/checkout@${digest} # v4`],
    ['an image by its tag', 'docker://alpine:3.20'],
    ['a workflow of another repository by a tag', 'owner/name/.github/workflows/build.yml@v1'],
  ])('is refused by %s', (_, action) => {
    expect(unpinned(`      - uses: ${action}\n`)).toEqual([action]);
    expect(unpinned(`        uses: "${action}"\n`)).toEqual([`"${action}"`]);
  });

  it.each([
    ['its digest and version', `actions/checkout@${digest} # v4.2.2`],
    ['a folder of the repository', './.github/actions/setup'],
  ])('is taken by %s', (_, action) => {
    expect(unpinned(`      - uses: ${action}\n`)).toEqual([]);
  });
});

/** The text of each job of a workflow. */
function jobs(workflow: string): readonly string[] {
  const [, text = ''] = workflow.split(/^jobs:\n/m);
  return text.split(/^(?= {2}[\w-]+:$)/m);
}

/** The actions of a workflow that someone else can change. */
function unpinned(workflow: string): readonly string[] {
  const used = [...workflow.matchAll(/^\s*(?:- )?uses:\s*(.*?)\s*$/gm)].map(([, action = '']) => action);
  return used.filter((action) => !/^(?:\.\/\S+|[\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/.test(action));
}
