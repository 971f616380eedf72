// The public face of each package as one file, docs/api/<package>.api.md, so that a change of it is a diff somebody reads.
// `pnpm api` writes the files; `pnpm check:api` fails where they differ from the build. Both need `pnpm build` first.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Extractor, ExtractorConfig, ExtractorLogLevel, ExtractorMessageCategory } from '@microsoft/api-extractor';

const root = resolve(import.meta.dirname, '../..');
const reports = join(root, 'docs/api');
const write = process.argv.includes('--write');

const scratch = mkdtempSync(join(tmpdir(), 'externalname-api-'));
const complaints: string[] = [];
try {
  mkdirSync(reports, { recursive: true });
  for (const name of readdirSync(join(root, 'packages'))) report(name);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(write ? 'API reports are written to docs/api' : 'API reports agree with the build');

function report(name: string): void {
  const folder = join(root, 'packages', name);
  const entry = join(folder, 'dist/index.d.ts');
  if (!existsSync(entry)) {
    complaints.push(`packages/${name}: dist/index.d.ts is missing: run \`pnpm build\` first`);
    return;
  }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: entry,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: compilerSettings(entry) },
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: reports,
        reportTempFolder: scratch,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Warning },
          // Everything in the face is public; what is not goes through `./internal`.
          'ae-missing-release-tag': { logLevel: ExtractorLogLevel.None },
          // Names that a signature mentions and the face does not export. Stands in the report, for its reader to judge.
          'ae-forgotten-export': { logLevel: ExtractorLogLevel.Warning, addToApiReportFile: true },
          'ae-unresolved-link': { logLevel: ExtractorLogLevel.None },
          'ae-undocumented': { logLevel: ExtractorLogLevel.None },
        },
        tsdocMessageReporting: { default: { logLevel: ExtractorLogLevel.None } },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(folder, 'package.json'),
  });
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: write,
    messageCallback(message) {
      message.handled = true;
      if (message.category === ExtractorMessageCategory.Console) return;
      if (message.logLevel === ExtractorLogLevel.Error || message.logLevel === ExtractorLogLevel.Warning) {
        complaints.push(`packages/${name}: ${message.text} (${message.messageId})`);
      }
    },
  });
  if (apiReportChanged && !write) {
    complaints.push(
      `packages/${name}: the public face changed. If that was meant, run \`pnpm api\` and commit docs/api`,
    );
  }
  complaints.push(...undocumented(name));
}

/**
 * Every public name carries TSDoc, and so does every member. The report marks those that do not. Of a method with several
 * signatures the first one speaks for all.
 */
function undocumented(name: string): readonly string[] {
  const lines = readFileSync(join(scratch, `${name}.api.md`), 'utf8').split('\n');
  const described = new Set<string>();
  const missing: string[] = [];
  let owner = '';
  for (const [index, line] of lines.entries()) {
    const [, kind, declared] =
      /^(?:export )?(?:abstract )?(class|interface|const|function|type) (\w+)/.exec(line) ?? [];
    if (kind !== undefined) owner = `${kind} ${declared}`;
    const member = /^ {4}(?!\/\/)(?:readonly |static |abstract |get |set )*([\w[\].]+)/.exec(line)?.[1];
    if (kind === undefined && member === undefined) continue;
    const full = member === undefined ? owner : `${owner}: ${member}`;
    if (!(lines[index - 1] ?? '').includes('(undocumented)')) described.add(full);
    else if (!described.has(full)) missing.push(`packages/${name}: has no TSDoc: ${full}`);
  }
  return missing;
}

function compilerSettings(entry: string): object {
  return {
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2023', 'ESNext.Disposable'],
      module: 'NodeNext',
      moduleResolution: 'NodeNext',
      types: ['node'],
      strict: true,
      skipLibCheck: true,
    },
    files: [entry],
  };
}
