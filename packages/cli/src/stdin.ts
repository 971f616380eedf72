import { readFile } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { InvalidArgumentError } from '@externalname/core';

/**
 * Everything that comes on stdin, as text.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for more than 4 MiB
 */
export async function textFrom(stdin: Readable, signal: AbortSignal): Promise<string> {
  addAbortSignal(signal, stdin);
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of stdin) {
      const bytes = Buffer.from(part);
      length += bytes.length;
      if (length > mostBytes) throw new InvalidArgumentError('stdin', 'has more than 4 MiB');
      parts.push(bytes);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * The text of a file; of stdin for `-`.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a file that cannot be read
 */
export async function textOf(file: string, stdin: Readable, signal: AbortSignal): Promise<string> {
  if (file === '-') return textFrom(stdin, signal);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new InvalidArgumentError('file', `${file} cannot be read`, { cause });
  }
}

/** kube-apiserver refuses a request body of more than 3 MiB. */
const mostBytes = 4 * 1024 * 1024;
