import type { JsonPatchOperation } from '@externalname/core/manifests';
import { applyPatch, type Operation, Pointer } from 'rfc6902';
import { jsonTypeOf } from './decode.ts';
import { checkDepth, copy, isJsonObject, type Json, type JsonObject } from './object.ts';
import { ApiStatusError, badRequest } from './status.ts';

/**
 * Applies a JSON Patch to a copy of `object`.
 *
 * Like the API server, it refuses a patch that cannot be read with 400, and a patch that cannot be applied (a `test` that fails,
 * a path that does not exist) with 422 and a general text.
 */
export function applyJsonPatch(object: object, operations: unknown): JsonObject {
  if (!Array.isArray(operations)) {
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${jsonTypeOf(operations)} into Go value of type []handlers.jsonPatchOp`,
    );
  }
  if (operations.length > mostOperations) {
    throw new ApiStatusError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${mostOperations}, got ${operations.length}`,
    );
  }
  for (const operation of operations) checkOperation(operation);
  const patched = copy(object) as JsonObject;
  let copied = 0;
  for (const operation of operations as LooseOperation[]) {
    if (operation.op === 'copy') {
      copied += sizeAt(patched, operation.from ?? '');
      if (copied > mostCopiedBytes) {
        throw unprocessable(new Error(`the copies have more than ${mostCopiedBytes} bytes together`));
      }
    }
    const [failure] = applyPatch(patched, asServerReads(patched, operation));
    if (failure) throw unprocessable(failure);
  }
  checkDepth(patched);
  return patched;
}

/** Bytes of JSON that a copy from there adds. Without a limit, thirty copies of copies would double them thirty times. */
function sizeAt(object: JsonObject, from: string): number {
  const { value } = Pointer.fromJSON(from).evaluate(object);
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}

interface LooseOperation {
  readonly op: JsonPatchOperation['op'];
  readonly path: string;
  readonly from?: string;
  readonly value?: Json;
}

/**
 * The API server's library is more lenient than the RFC: it replaces a field that does not exist, and takes
 * a missing value, or a missing field, for null.
 */
function asServerReads(object: JsonObject, operation: LooseOperation): Operation[] {
  const { op, path, value = null } = operation;
  if (op !== 'replace' && op !== 'test' && op !== 'add') return [operation as Operation];
  const { parent, key } = Pointer.fromJSON(path).evaluate(object) as { parent: Json | undefined; key: string };
  const missing = isJsonObject(parent) && !(key in parent);
  if (op === 'replace' && missing) return [{ op: 'add', path, value }];
  return op === 'test' && missing && value === null ? [] : [{ op, path, value }];
}

function checkOperation(operation: unknown): void {
  const { op, path, from } = isJsonObject(operation) ? operation : {};
  const known = typeof op === 'string' && ['add', 'remove', 'replace', 'move', 'copy', 'test'].includes(op);
  if (!known) throw unprocessable(new Error(`Unexpected kind: ${op === undefined ? 'unknown' : String(op)}`));
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/'))) {
    throw unprocessable(new Error(`the path ${JSON.stringify(path)} is not a JSON pointer`));
  }
  if ((op === 'move' || op === 'copy') && typeof from !== 'string') {
    throw unprocessable(new Error(`${op} operation needs from`));
  }
}

function unprocessable(cause: Error): ApiStatusError {
  const error = new ApiStatusError(
    422,
    'Invalid',
    'the server rejected our request due to an error in our request',
    {},
  );
  error.cause = cause;
  return error;
}

// Kubernetes apiserver pkg/endpoints/handlers/patch.go, maxJSONPatchOperations.
const mostOperations = 10_000;

// Kubernetes apiserver pkg/server/config.go, JSONPatchMaxCopyBytes.
const mostCopiedBytes = 3 * 1024 * 1024;
