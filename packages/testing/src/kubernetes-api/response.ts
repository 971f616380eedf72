import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toYaml } from '@externalname/core/manifests';
import { wholeCharacters } from './decode.ts';
import type { Representation } from './media-types.ts';
import type { Status } from './status.ts';

/** Sends an object, list or table in the form that the client asked for. */
export function send(response: ServerResponse, code: number, body: object, representation: Representation): void {
  const text = representation === 'yaml' ? toYaml(wholeCharacters(body)) : JSON.stringify(body);
  response.writeHead(code, { 'content-type': contentTypes[representation] });
  response.end(text);
}

/** With `cached`, answers 304 if the client already has this document. */
export function sendJson(
  response: ServerResponse,
  code: number,
  body: object,
  contentType = 'application/json',
  cached?: IncomingMessage,
): void {
  const text = JSON.stringify(body);
  const etag = cached && `"${createHash('sha256').update(text).digest('hex').toUpperCase()}"`;
  if (etag !== undefined) {
    response.setHeader('etag', etag);
    response.setHeader('vary', 'Accept');
    if (cached?.headers['if-none-match'] === etag) {
      response.writeHead(304);
      response.end();
      return;
    }
  }
  response.writeHead(code, { 'content-type': contentType });
  response.end(text);
}

export function sendWarnings(response: ServerResponse, warnings: readonly string[]): void {
  for (const warning of warnings) response.appendHeader('Warning', `299 - ${JSON.stringify(warning)}`);
}

/** Sends a refusal, as YAML to a client that asks for that and as JSON to all others. */
export function sendStatus(response: ServerResponse, status: Status, accept = ''): void {
  const retryAfter = status.details?.retryAfterSeconds;
  if (retryAfter !== undefined) response.setHeader('Retry-After', String(retryAfter));
  send(response, status.code ?? 500, status, accept.startsWith('application/yaml') ? 'yaml' : 'object');
}

/** `Content-Type` of each form. */
export const contentTypes: Record<Representation, string> = {
  object: 'application/json',
  table: 'application/json',
  metadata: 'application/json',
  yaml: 'application/yaml',
};
