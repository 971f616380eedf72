import { switchHistory } from '@externalname/kubernetes';
import { chosenCluster, clusterOptions } from '../cluster.ts';
import { command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { outputOption } from '../output-option.ts';
import { writeHistory } from '../switching/history-screen.ts';

/** `history`: who switched a Service, when, and why. */
export const historyCommand = command({
  arguments: [
    { name: '<service>', summary: 'the Service: webscaler-db, or webscaler-db.namespace', complete: 'services' },
  ],
  about:
    'The last switch is kept by the Service itself, those before it by Events, which a cluster forgets after an hour unless it is told ' +
    'otherwise. A change by kubectl leaves no such record, but shows here if it came last.',
  options: { ...clusterOptions, output: outputOption },
  examples: [
    { command: 'history webscaler-db', does: 'who switched it, when, and why' },
    { command: 'history webscaler-db -o json', does: 'the same for a program' },
  ],
  async run({ arguments: [service = ''], options, output, environment, signal }) {
    const cluster = await chosenCluster(options, environment);
    const history = await output.progress('reading', () => switchHistory({ ...cluster, service, signal }));
    if (output.isText) writeHistory(output, history);
    else output.data(history);
    return exitCodes.ok;
  },
});
