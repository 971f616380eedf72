import type { IncomingMessage } from 'node:http';
import { readYaml } from '@externalname/core/internal-yaml';
import { duplicateFields, wholeCharacters } from './decode.ts';
import { checkDepth } from './object.ts';
import { decodeProtobuf } from './protobuf.ts';
import type { RequestTarget } from './request-target.ts';
import type { RequestBody } from './resource-requests.ts';
import { type StructSchema, schemaOf, structNamed } from './schema.ts';
import { ApiStatusError, badRequest, unrecognized } from './status.ts';

/** @throws ApiStatusError 400, 415 */
export function readBody(
  bytes: Buffer,
  contentType: string,
  target: RequestTarget & { kind: 'resource' },
): RequestBody {
  if (bytes.length === 0) return { value: undefined, duplicateFields: [] };
  const patch = target.verb === 'patch';
  if (!patch && contentType === 'application/vnd.kubernetes.protobuf') {
    return { value: decodeProtobuf(bytes, (_, kind) => bodySchema(target, kind)), duplicateFields: [] };
  }
  const text = bytes.toString();
  const yaml = contentType === 'application/yaml' || contentType === 'application/apply-patch+yaml';
  if (!patch && !yaml && contentType !== 'application/json' && contentType !== '') {
    const accepted = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
    const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
    throw new ApiStatusError(415, 'UnsupportedMediaType', message);
  }
  try {
    if (yaml) return readYamlBody(text);
    const parsed = JSON.parse(text) as unknown;
    checkDepth(parsed);
    const value = /\\u[dD][89a-fA-F]/.test(text) ? wholeCharacters(parsed) : parsed;
    return { value, duplicateFields: patch ? [] : duplicateFields(text) };
  } catch (error) {
    if (error instanceof ApiStatusError) throw error;
    if (patch && !yaml) throw badRequest('invalid JSON patch');
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
    throw badRequest(`${unrecognized(target.type)}: couldn't get version/kind; json parse error: ${why}`);
  }
}

/** The first document. The reader of core bounds its depth, which the parser's own does not. */
function readYamlBody(text: string): RequestBody {
  const [document] = readYaml(text, 'yaml');
  if (document === undefined) return { value: null, duplicateFields: [] };
  const [problem] = document.problems;
  if (problem !== undefined) throw new Error(`line ${problem.line}: ${problem.message}`);
  const duplicateFields = document.warnings
    .filter(({ code }) => code === 'yaml-duplicate-key')
    .map(({ line, path }) => `line ${line}: key ${JSON.stringify(path.at(-1))} already set in map`);
  return { value: document.value, duplicateFields };
}

/** @throws ApiStatusError 413 */
export async function received(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > longestBody) {
      throw new ApiStatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${longestBody}`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function bodySchema(target: RequestTarget & { kind: 'resource' }, kind: string): StructSchema {
  if (kind === 'DeleteOptions') return structNamed('meta.DeleteOptions');
  return target.subresource === 'token' ? structNamed('authentication.TokenRequest') : schemaOf(target.type);
}

// Kubernetes apiserver, MaxRequestBodyBytes.
const longestBody = 3 * 1024 * 1024;
