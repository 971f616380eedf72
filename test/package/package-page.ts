// What a package's page on a registry needs and the files of the repository do not have: where the repository is, and links that do
// not depend on where the page is shown.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

/**
 * Where the repository is, as `https://host/owner/name`: what the root's package.json says; else what CI says; else the remote `origin`.
 * Undefined where none of them is an address on the web.
 */
export async function repositoryAddress(root: string, env = process.env): Promise<string | undefined> {
  const manifest: { repository?: string | { url: string } } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  const written = typeof manifest.repository === 'object' ? manifest.repository.url : manifest.repository;
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = env;
  const ofCi = server !== undefined && name !== undefined ? `${server}/${name}` : undefined;
  return webAddress(written ?? ofCi ?? (await originOf(root)));
}

/** The page of a repository in a browser, from any of the forms in which git takes its address. */
export function webAddress(remote: string | undefined): string | undefined {
  const text = (remote ?? '').trim().replace(/^git\+/, '');
  const ssh = /^(?:ssh:\/\/)?(?:[\w.-]+@)([\w.-]+)(?::\d+)?[:/](.+)$/.exec(text);
  const https = /^https:\/\/(?:[^@/]+@)?([\w.:-]+)\/(.+)$/.exec(text);
  const [, host, path] = https ?? ssh ?? [];
  return host === undefined || path === undefined ? undefined : `https://${host}/${path.replace(/(\.git)?\/*$/, '')}`;
}

/** The text of a page whose relative links lead to the repository. What is in code is left alone. */
export function linksToRepository(text: string, to: { readonly base: string; readonly directory: string }): string {
  return text.replace(/^```[\s\S]*?^```|`[^`\n]*`|\]\(([^)\s]+)\)/gm, (whole, link: string | undefined) => {
    if (link === undefined || /^(#|[a-z]+:)/.test(link)) return whole;
    return `](${to.base}/${posix.join(to.directory, link)})`;
  });
}

function originOf(root: string): Promise<string | undefined> {
  return new Promise((done) => {
    execFile('git', ['remote', 'get-url', 'origin'], { cwd: root }, (error, stdout) =>
      done(error === null ? stdout : undefined),
    );
  });
}
