// What a user of the published packages may write. Compiled and run twice: as an ES module and as a CommonJS one.
import { strict as assert } from 'node:assert';
import {
  ExternalNameError,
  InvalidArgumentError,
  isExternalNameError,
  parseServiceReference,
} from '@externalname/core';

const reference = parseServiceReference('webscaler-db.default');
assert.equal(reference.name, 'webscaler-db');

assert.throws(
  () => parseServiceReference('not a name'),
  (error) => isExternalNameError(error) && error instanceof InvalidArgumentError && error instanceof ExternalNameError,
);
