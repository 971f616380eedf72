import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import type { MigrationPlan, ServiceManifest } from '@externalname/core/manifests';
import type { LocalApi } from '@externalname/testing';
import { catalog } from './catalog.ts';

const path = `/api/v1/namespaces/${catalog.namespace}/services/${catalog.service}`;

/** The Service as the API server has it. A plan that is made from it applies to this version only. */
export async function readService(api: LocalApi): Promise<ServiceManifest> {
  return (await send(api, 'GET')) as ServiceManifest;
}

/** Sends the patches of a plan, as the commands in it do. */
export async function runPlan(api: LocalApi, plan: MigrationPlan, print: (line: string) => void): Promise<void> {
  for (const step of plan.steps) {
    print(`  ${step.action}: ${step.description}`);
    print(`    $ ${step.command}`);
    if (step.action === 'patch') await send(api, 'PATCH', step.contentType, step.body);
  }
}

async function send(api: LocalApi, method: string, contentType?: string, body?: object): Promise<unknown> {
  const request = https.request(new URL(path, api.url), {
    method,
    ca: api.certificateAuthority,
    headers: {
      authorization: `Bearer ${api.adminToken()}`,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    },
    signal: AbortSignal.timeout(5_000),
  });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${answer}`);
  return JSON.parse(answer);
}
