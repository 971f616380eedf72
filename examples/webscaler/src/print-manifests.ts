// Writes what is in manifests.yaml: pnpm --filter @externalname-examples/webscaler manifests
import { toYaml } from '@externalname/core/manifests';
import { manifests } from './manifests.ts';

process.stdout.write(toYaml(manifests()));
