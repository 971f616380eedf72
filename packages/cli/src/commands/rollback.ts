import { rollback } from '@externalname/kubernetes';
import { command } from '../command.ts';
import { switchingOf, switchingOptions } from '../switching/options.ts';
import { checkAsking, perform } from '../switching/perform.ts';

/** `rollback`: back to where the Service pointed before the last switch. */
export const rollbackCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'Switches back to the target that the last switch recorded, by the same steps and with the same probes. It is refused if nothing was ' +
    'recorded, or if something else has changed the Service since. Both targets must be allowed: --allowed-targets, or EXTERNALNAME_ALLOWED_TARGETS.',
  options: switchingOptions,
  examples: [
    {
      command: 'rollback webscaler-db --allowed-targets primary-db.example.com,secondary-db.example.com',
      does: 'back again, after a look at what would change',
    },
    { command: 'rollback webscaler-db --reason "primary is repaired" --yes', does: 'without a question' },
  ],
  async run(context) {
    checkAsking(context);
    await using switching = await switchingOf(context, []);
    const { options } = switching;
    // Awaited here: what the probes ask with is closed when this function returns.
    return await perform(context, `Roll back ${context.arguments[0]}`, (changes) =>
      rollback({ ...options, ...changes }),
    );
  },
});
