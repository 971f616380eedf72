// One process may load both copies of a package: a CJS dependency requires one, an ES module imports the other.
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

for (const entry of process.argv.slice(2)) {
  for (const face of [await import(entry), require(entry)]) {
    for (const [name, value] of Object.entries(face)) {
      // A bundler that renames a class shows its users `_Pool {...}`.
      if (typeof value === 'function')
        assert.ok(!value.name.startsWith('_'), `${entry}: ${name} is called ${value.name}`);
    }
  }
  const imported = Object.keys(await import(entry)).filter((name) => name !== 'default' && name !== 'module.exports');
  const required = Object.keys(require(entry)).filter((name) => name !== 'default');
  assert.deepEqual(imported.sort(), required.sort(), `${entry} exports the same names to import and to require`);
}

const esm = await import('@externalname/core');
const cjs = require('@externalname/core');
const fromEsm = new esm.InvalidArgumentError('service', 'is empty');
const fromCjs = new cjs.InvalidArgumentError('service', 'is empty');

assert.ok(!(fromCjs instanceof esm.InvalidArgumentError), 'there are two copies, or this test shows nothing');
assert.ok(esm.isExternalNameError(fromCjs), 'the ESM copy knows an error of the CJS copy');
assert.ok(cjs.isExternalNameError(fromEsm), 'the CJS copy knows an error of the ESM copy');
assert.equal(fromEsm.code, fromCjs.code);
assert.ok(!esm.isExternalNameError(new Error('another')));

// The entries of one copy share their modules: whichever entry a class or a function comes through, it is the same one.
for (const load of [(entry) => import(entry), require]) {
  const { ExternalNameError, InvalidArgumentError } = await load('@externalname/core');
  const { DnsQueryError } = await load('@externalname/core/dns');
  const { externalNameService, ManifestInvalidError } = await load('@externalname/core/manifests');
  const { parseHostName } = await load('@externalname/core/names');
  const { checkText } = await load('@externalname/core/internal');
  for (const each of [DnsQueryError, ManifestInvalidError]) assert.ok(each.prototype instanceof ExternalNameError);
  assert.throws(() => externalNameService({ name: '?', externalName: '?' }), ManifestInvalidError);
  for (const refuse of [() => parseHostName('', 'host'), () => checkText('name', 5)]) {
    assert.throws(refuse, InvalidArgumentError);
  }
}
