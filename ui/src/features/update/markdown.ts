// Release notes are written by strangers. What comes out of here runs nothing and loads nothing: no HTML of the
// author, no pictures, no forms, no styles; a link is a button-like anchor that asks the engine to open it outside.

import DOMPurify from 'dompurify';
import { Marked, type Tokens } from 'marked';

const TAGS = [
  ...['h3', 'h4', 'h5', 'h6', 'p', 'br', 'hr', 'ul', 'ol', 'li', 'strong', 'em', 'del', 'code', 'pre'],
  ...['blockquote', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'a'],
];

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (it) => `&#${it.charCodeAt(0).toString()};`);

const reader = new Marked({
  gfm: true,
  renderer: {
    // Shown as the text that it is.
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escaped(text),
    image: ({ text, title }: Tokens.Image) => escaped(text || title || ''),
    // The page has the first two levels of headings itself.
    heading({ tokens, depth }: Tokens.Heading) {
      const level = Math.min(6, depth + 2).toString();
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

/** Only a plain web address may be asked for; the engine decides whether it is opened. */
export function isWebAddress(href: string | null): href is string {
  if (!href) return false;
  try {
    return new URL(href).protocol === 'https:';
  } catch {
    return false;
  }
}

export function toSafeHtml(markdown: string): string {
  const html = reader.parse(markdown, { async: false });
  const fragment = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ['href', 'start'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  levelHeadings(fragment);
  for (const link of fragment.querySelectorAll('a')) {
    const href = link.getAttribute('href');
    if (isWebAddress(href)) link.setAttribute('rel', 'noreferrer noopener');
    else link.replaceWith(...link.childNodes);
  }
  const holder = document.createElement('div');
  holder.append(fragment);
  return holder.innerHTML;
}

/** Their first heading is one below the page's, and none leaves a level out, however the makers count. */
function levelHeadings(fragment: DocumentFragment): void {
  let above = 2;
  let made = 2;
  for (const heading of fragment.querySelectorAll('h3, h4, h5, h6')) {
    const level = Number(heading.tagName.slice(1));
    made = level > above ? made + 1 : level === above ? made : Math.max(3, made - (above - level));
    above = level;
    const levelled = document.createElement(`h${Math.min(6, made).toString()}`);
    levelled.append(...heading.childNodes);
    heading.replaceWith(levelled);
  }
}

const MOST = 60_000;

/** The beginning, up to a heading, of notes that nobody reads whole. */
export function cutAtHeading(markdown: string): { text: string; isCut: boolean } {
  if (markdown.length <= MOST) return { text: markdown, isCut: false };
  const head = markdown.slice(0, MOST);
  const heading = head.lastIndexOf('\n#');
  const line = head.lastIndexOf('\n');
  const end = heading > MOST / 4 ? heading : line > 0 ? line : MOST;
  return { text: head.slice(0, end), isCut: true };
}
