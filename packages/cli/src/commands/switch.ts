import { InvalidArgumentError } from '@externalname/core';
import { switchTarget } from '@externalname/kubernetes';
import { command, text } from '../command.ts';
import { switchingOf, switchingOptions } from '../switching/options.ts';
import { checkAsking, perform } from '../switching/perform.ts';

/** `switch`: points a Service to another target, after everything that speaks against it was looked at. */
export const switchCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'Shows what will change, asks, and switches in steps that are shown as they are done. Before anything is changed, the new target must ' +
    'resolve, accept connections, have a certificate of its own name and take writes, and the old one must be fenced or gone. ' +
    'The Service is only changed if it still points to the old target.',
  options: {
    to: text('--to <host>', 'the new target'),
    from: text('--from <host>', 'where you believe it points now: if it does not, it is not changed'),
    ...switchingOptions,
  },
  examples: [
    { command: 'switch webscaler-db --to secondary-db.example.com', does: 'switch, after a look at what would change' },
    {
      command: 'switch webscaler-db --to secondary-db.example.com --wait-for-promotion 2m --yes',
      does: 'switch as soon as the standby is promoted, without a question',
    },
    {
      command: 'switch webscaler-db --to secondary-db.example.com --wait-for-promotion 2m --announce 10s --yes',
      does: 'the same, and pools with the Kubernetes source hold their work while the servers change roles',
    },
    {
      command: 'switch webscaler-db --to secondary-db.example.com --dry-run -o json',
      does: 'only see whether it would be refused',
    },
  ],
  async run(context) {
    const { to, from } = context.options;
    if (to === undefined)
      throw new InvalidArgumentError('--to', 'must be given: the host that the Service shall point to');
    checkAsking(context);
    // Who names a host on the command line allows it.
    await using switching = await switchingOf(context, from === undefined ? [to] : [to, from]);
    const { options } = switching;
    // Awaited here: what the probes ask with is closed when this function returns.
    return await perform(context, `Switch ${context.arguments[0]} to ${to}`, (changes, planned) =>
      switchTarget({ ...options, ...changes, to, expect: from ?? planned }),
    );
  },
});
