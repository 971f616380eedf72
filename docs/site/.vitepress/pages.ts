import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** The folder of the repository. */
export const repository: string = resolve(import.meta.dirname, '../../..');

/** The folder that the site is built from: copies of the documents, because what lies outside of it would find no Vue. */
export const pagesFolder: string = resolve(import.meta.dirname, '../dist/pages');

const apiFolder: string = resolve(import.meta.dirname, '../dist/api');
const referenceFolder: string = resolve(import.meta.dirname, '../dist/reference');

/** Copies the documents of the repository to where they are on the site. Returns the document of each page. */
export function assemblePages(): ReadonlyMap<string, string> {
  rmSync(pagesFolder, { recursive: true, force: true });
  const documents = new Map<string, string>();
  for (const document of documentsOfRepository()) {
    const page = pageOf(document);
    documents.set(page, document);
    mkdirSync(dirname(join(pagesFolder, page)), { recursive: true });
    if (isHome(document)) writeFileSync(join(pagesFolder, page), aboveItsFolder(join(repository, document)));
    else cpSync(join(repository, document), join(pagesFolder, page));
  }
  const pictures = readdirSync(join(repository, 'docs'), { recursive: true, encoding: 'utf8' });
  for (const picture of pictures.filter((path) => path.endsWith('.svg') && !/node_modules|^site\//.test(path))) {
    cpSync(join(repository, 'docs', picture), join(pagesFolder, picture));
  }
  // What is made of the sources, if it was: pages of reference, and those of TypeDoc.
  if (existsSync(referenceFolder)) cpSync(referenceFolder, pagesFolder, { recursive: true });
  if (existsSync(apiFolder)) cpSync(apiFolder, join(pagesFolder, 'api'), { recursive: true });
  return documents;
}

/** The home page is moved to where the documents lie, from a folder beside them. */
function aboveItsFolder(file: string): string {
  return readFileSync(file, 'utf8').replaceAll('](../', '](./');
}

/** Whether a document of the repository, by its path there, is a page of the site. */
export function isPage(document: string): boolean {
  return (
    isHome(document) ||
    document === 'CHANGELOG.md' ||
    (isGuide(document) && document !== 'docs/README.md') ||
    isReadme(document)
  );
}

/** `docs/guides/pool.md` is `guides/pool.md` on the site, and a README is the page of its folder. */
export function pageOf(document: string): string {
  if (isHome(document)) return 'index.md';
  return document
    .replace(/^docs\//, '')
    .replace(/(^|\/)README\.md$/, '$1index.md')
    .replace(/^CHANGELOG\.md$/, 'changelog.md');
}

const isHome = (document: string) => document === 'docs/site/index.md';
// The reports of API Extractor are for those who change a face.
const isGuide = (document: string) => /^docs\/(?!site\/|api\/)/.test(document);
const isReadme = (document: string) => /^(packages|examples)\/[^/]+\/README\.md$/.test(document);

function documentsOfRepository(): readonly string[] {
  const entries = readdirSync(join(repository, 'docs'), { recursive: true, withFileTypes: true });
  const inDocs = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => relative(repository, join(entry.parentPath, entry.name)))
    .filter((document) => !document.includes('node_modules'));
  const readmes = ['packages', 'examples'].flatMap((folder) =>
    readdirSync(join(repository, folder)).map((name) => `${folder}/${name}/README.md`),
  );
  return [...inDocs, ...readmes, 'CHANGELOG.md'].filter(
    (document) => isPage(document) && existsSync(join(repository, document)),
  );
}
