import type { MarkdownRenderer } from 'vitepress';

/** A diagram keeps a size at which it can be read. Where that is wider than the screen it is scrolled by itself, by keyboard too. */
export function scrollableDiagrams(markdown: MarkdownRenderer): void {
  const fence = markdown.renderer.rules.fence;
  markdown.renderer.rules.fence = (tokens, index, ...rest) => {
    const code = fence?.(tokens, index, ...rest) ?? '';
    if (tokens[index]?.info.trim() !== 'mermaid') return code;
    return `<div class="diagram" role="group" aria-label="Diagram" tabindex="0">${code}</div>`;
  };
}

/**
 * The theme calls its search box, which has a field, buttons and links in it, a button, and each result, which is a link, an option
 * (WCAG 2.2, 4.1.2). Here it is a dialog with a list of links.
 */
export const searchAsDialog = {
  name: 'search-as-dialog',
  enforce: 'pre',
  transform(code: string, file: string): string | undefined {
    if (!file.endsWith('/VPLocalSearchBox.vue')) return undefined;
    return mended.reduce((mending, [now, then]) => {
      if (!now.test(mending)) throw new Error(`the search box of the theme no longer has ${now}`);
      return mending.replace(now, then);
    }, code);
  },
} as const;

const mended: readonly (readonly [now: RegExp, then: string])[] = [
  [
    /role="button"\s+:aria-owns="[^"]*"\s+aria-expanded="true"\s+aria-haspopup="listbox"\s+aria-labelledby="[^"]*"/,
    'role="dialog" aria-modal="true" :aria-label="buttonText"',
  ],
  [/:aria-activedescendant="[^"]*"\s+aria-autocomplete="both"/, ''],
  [/:role="results\?\.length \? 'listbox' : undefined"/, ''],
  [/:aria-selected="[^"]*"\s+role="option"/, ''],
  // The text of a link is its name.
  [/:aria-label="\[\.\.\.p\.titles, p\.title\][^"]*"/, ''],
  [/<kbd :aria-label/g, '<kbd role="img" :aria-label'],
];
