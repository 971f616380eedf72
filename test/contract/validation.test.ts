import { readFileSync } from 'node:fs';
import { serviceIssues } from '@externalname/core/validation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';

interface Row {
  name: string;
  op?: 'create' | 'update';
  input: ServiceObject;
  old?: ServiceObject;
  valid: boolean;
  field?: string;
  reasonType?: string;
  errors?: { field: string; reasonType: string }[];
  warnings?: string[];
  kubernetesVersion?: string;
}

interface ServiceObject {
  metadata?: { name?: string; namespace?: string };
  spec?: object;
}

/** What a server, or the validator, says of a Service. */
interface Verdict {
  accepted: boolean;
  /** `reason field`, sorted. */
  causes: string[];
}

/** Rows that a running server cannot be brought to, and why. */
const unreachable: Record<string, string> = {
  'metadata.name changed': 'the name in the URL and in the body differ: 400 before any validation',
  'namespace a_b': 'no such namespace can exist: 404 before any validation',
  'namespace of 64 bytes': 'no such namespace can exist: 404 before any validation',
  'namespace with a dot': 'no such namespace can exist: 404 before any validation',
  'namespace changed': 'the namespace in the URL and in the body differ: 400 before any validation',
};

/** Rows whose previous state no request can bring about, and why. */
const unwritable: Record<string, string> = {
  'a stored address with zeros stays accepted': 'only a server before 1.36 stores such an address',
  'finalizer added while the object goes': 'only the server sets a deletionTimestamp',
};

// Rows of another Kubernetes version are for the validator alone.
const rows = ['externalname-validation.json', 'service-names.json', 'own-cases.json']
  .flatMap(table)
  .filter(({ kubernetesVersion }) => kubernetesVersion === undefined);

describe.each(clusters)('$name', ({ start }) => {
  let cluster: ContractCluster;
  const namespaces = new Set<string>();

  beforeAll(async () => {
    cluster = await start();
  });
  afterAll(() => cluster?.stop());

  describe('says of a Service what the tables and the validator say', () => {
    it.each(rows.filter(isReachable).map((row) => [row.name, row] as const))('%s', (_name, row) => agrees(row));

    it.each(Object.entries(unreachable))('not of "%s", because %s', async (name) => {
      const row = rows.find((candidate) => candidate.name === name);
      if (row === undefined) throw new Error(`there is no row ${name}`);
      const verdict = await verdictOf(row);
      expect(verdict).toEqual({ accepted: false, causes: [] });
    });

    it.skip.each(Object.entries(unwritable))('not of "%s", because %s', () => undefined);
  });

  async function agrees(row: Row): Promise<void> {
    const verdict = await verdictOf(row);
    expect(verdict).toEqual(verdictOfValidator(row));
    expect(verdict.accepted).toBe(row.valid);
    const expected = row.errors ?? (row.field && !row.valid ? [{ field: row.field, reasonType: row.reasonType }] : []);
    for (const { field, reasonType } of expected.filter(hasCause)) {
      expect(verdict.causes).toContain(`${reasonType} ${field}`);
    }
  }

  async function verdictOf(row: Row): Promise<Verdict> {
    const namespace = row.input.metadata?.namespace ?? 'app';
    await ensureNamespace(namespace);
    if (row.old?.metadata?.namespace !== undefined) await ensureNamespace(row.old.metadata.namespace);
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
    if (row.old === undefined) return read(await cluster.admin.request('POST', `${path}?dryRun=All`, row.input));
    const name = row.old.metadata?.name ?? '';
    const previous = `/api/v1/namespaces/${row.old.metadata?.namespace ?? namespace}/services`;
    await cluster.admin.must('POST', previous, row.old);
    try {
      return read(await cluster.admin.request('PUT', `${previous}/${name}?dryRun=All`, row.input));
    } finally {
      await cluster.admin.must('DELETE', `${previous}/${name}`);
    }
  }

  async function ensureNamespace(name: string): Promise<void> {
    if (namespaces.has(name)) return;
    namespaces.add(name);
    // Whether it can be made is part of what the row says.
    await cluster.admin.request('POST', '/api/v1/namespaces', asObject('Namespace', { metadata: { name } }));
  }
});

function read(answer: { status: number; body: Record<string, unknown> }): Verdict {
  if (answer.status < 300) return { accepted: true, causes: [] };
  const details = answer.body['details'] as { causes?: { reason: string; field: string }[] } | undefined;
  // Only validation speaks of fields; what stops a request before that has no causes.
  const causes = answer.status === 422 ? (details?.causes ?? []) : [];
  return { accepted: false, causes: causes.map(({ reason, field }) => `${reason} ${field}`).sort() };
}

function verdictOfValidator(row: Row): Verdict {
  const errors = serviceIssues(row.input, row.old).filter(({ severity }) => severity === 'error');
  // What the decoder refuses comes without causes, as 400.
  const causes = errors.filter(({ reason }) => reason !== 'BadRequest');
  return { accepted: errors.length === 0, causes: causes.map(({ path, reason }) => `${reason} ${path}`).sort() };
}

function table(file: string): Row[] {
  const url = new URL(`../../packages/core/src/validation/cases/${file}`, import.meta.url);
  const found = JSON.parse(readFileSync(url, 'utf8'), (_, value) => {
    // A long text stands in the tables as what it is made of.
    const repeat = value?.$repeat;
    return Array.isArray(repeat) ? String(repeat[0]).repeat(Number(repeat[1])) : value;
  }) as Row[];
  return found.map((row) => ({
    ...row,
    input: asService(row.input, file === 'service-names.json'),
    ...(row.old && { old: asService(row.old) }),
  }));
}

function isReachable({ name }: Row): boolean {
  return unreachable[name] === undefined && unwritable[name] === undefined;
}

function hasCause({ reasonType }: { reasonType?: string | undefined }): boolean {
  return reasonType !== 'BadRequest';
}

/** One table holds metadata only. */
function asService(object: ServiceObject, lacksSpec = false): ServiceObject {
  const spec = { type: 'ExternalName', externalName: 'db.example.com' };
  return asObject('Service', { ...(lacksSpec && { spec }), ...object });
}

function asObject<Content extends object>(kind: string, content: Content): Content {
  return { apiVersion: 'v1', kind, ...content };
}
