// The public face of each package as a file, docs/api/<package>.api.md, and one for each subpath, so that a change of it is a
// diff somebody reads.
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
  for (const name of readdirSync(join(root, 'packages'))) for (const entry of entries(name)) report(name, entry);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
else console.log(write ? 'API reports are written to docs/api' : 'API reports agree with the build');

/** `index` and the subpaths of a package, apart from those for the siblings. */
function entries(name: string): readonly string[] {
  const { exports }: { exports: object } = JSON.parse(
    readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'),
  );
  const subpaths = Object.keys(exports).map((subpath) => subpath.slice(2) || 'index');
  return subpaths.filter((subpath) => !/^internal|^package\.json$/.test(subpath));
}

function report(name: string, entry: string): void {
  const folder = join(root, 'packages', name);
  const declarations = join(folder, `dist/${entry}.d.ts`);
  const face = entry === 'index' ? `packages/${name}` : `packages/${name}, ${entry}`;
  const file = entry === 'index' ? `${name}.api.md` : `${name}.${entry}.api.md`;
  if (!existsSync(declarations)) {
    complaints.push(`${face}: dist/${entry}.d.ts is missing: run \`pnpm build\` first`);
    return;
  }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: compilerSettings(declarations) },
      apiReport: {
        enabled: true,
        reportFileName: file,
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
        complaints.push(`${face}: ${message.text} (${message.messageId})`);
      }
    },
  });
  if (apiReportChanged && !write) {
    complaints.push(`${face}: the public face changed. If that was meant, run \`pnpm api\` and commit docs/api`);
  }
  complaints.push(...undocumented(face, file));
}

/**
 * Every public name carries TSDoc, and so does every member. The report marks the names without it. Of a method with several
 * signatures the first one speaks for all.
 */
function undocumented(face: string, file: string): readonly string[] {
  const lines = readFileSync(join(scratch, file), 'utf8').split('\n');
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
    else if (!described.has(full)) missing.push(`${face}: has no TSDoc: ${full}`);
  }
  return missing;
}

function compilerSettings(declarations: string): object {
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
    files: [declarations],
  };
}
