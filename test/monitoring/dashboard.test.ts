import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dashboardFile, queriesOf } from './support/dashboard.ts';
import { has, promtool } from './support/programs.ts';

// That its JSON is what Grafana's schema says is held by the compiler: packages/prometheus/generate/dashboard.ts makes a `Dashboard` of
// @grafana/schema, and test/docs/monitoring.test.ts that the file is what it makes.
describe('the dashboard', () => {
  const dashboard = dashboardFile();
  const plots = dashboard.panels.filter(({ type }) => type !== 'row');

  it('has panels that do not overlap, within the 24 columns of Grafana', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x}/${y}`), `below ${title} at ${x}/${y}`).toBeUndefined();
          taken.set(`${x}/${y}`, title);
        }
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  it('uses only variables that it defines, the data source first', () => {
    const defined = dashboard.templating.list.map(({ name }) => name);
    expect(defined[0]).toBe('datasource');
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?([a-z_]\w*)\}?/gi)].map(([, name]) => name ?? '');
    expect(new Set(used)).toEqual(new Set([...defined, '__rate_interval', '__all']));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
    const source = { type: 'prometheus', uid: '${datasource}' };
    for (const { title, targets = [] } of plots) {
      expect(targets.length, title).toBeGreaterThan(0);
      for (const query of targets) expect(query.datasource, title).toEqual(source);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
    }
  });

  it('has units that Grafana knows', () => {
    // Of the ids in `getValueFormats()` of @grafana/data 13.2.
    const known = ['s', 'short', 'percentunit', 'bytes', 'ops', 'reqps'];
    for (const { title, fieldConfig } of plots) expect(known, title).toContain(fieldConfig?.defaults.unit);
  });

  it.skipIf(!has('promtool'))('asks what Prometheus can parse', async () => {
    const queries = [...queriesOf(dashboard, '1m').values()];
    const rules = queries.map((expr, index) => ({ record: `externalname:panel:${index}`, expr }));
    const folder = await mkdtemp(join(tmpdir(), 'externalname-dashboard-'));
    try {
      const file = join(folder, 'rules.yaml');
      // JSON is YAML.
      await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
      expect(await promtool(['check', 'rules', file])).toMatchObject({
        status: 0,
        output: expect.stringContaining(`${queries.length} rules found`),
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
