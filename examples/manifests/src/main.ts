// Prints the four manifests of the scenario as one stream:
//
//   node --conditions=@externalname/source --import tsx examples/manifests/src/main.ts
import { toYaml } from '@externalname/core/manifests';
import { scenarioManifests } from './scenario.ts';

process.stdout.write(toYaml(scenarioManifests()));
