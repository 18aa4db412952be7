// What pages say in a language: the message files, and English that is left on a page.

import { readdir, readFile } from 'node:fs/promises';

const messages = new URL('../../messages/', import.meta.url);
const placeholder = /\{\w+\}/g;
/** Names and numbers that are put in. A set of policies is longer, and no sentence with ` to ` and ` of ` in it. */
const PUT_IN = '.{1,200}';

/** Sentences of a language by the English ones, with which people's words are compared. */
export async function messagesOf(language) {
  const folder = new URL(`${language}/`, messages);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  return Object.assign({}, ...(await Promise.all(files.map(async (name) => JSON.parse(await readFile(new URL(name, folder), 'utf8'))))));
}

/** A sentence, with what is put in. */
export function saying(said) {
  return (english, values = {}) => {
    const text = said[english];
    if (typeof text !== 'string') throw new Error(`no message: ${english}`);
    return text.replaceAll(placeholder, (name) => values[name.slice(1, -1)] ?? name);
  };
}

/** English sentences that stand on the page, in text or in names for screen readers. What somebody has called something may be English. */
export async function englishLeft(page, said, own = []) {
  const texts = await page.evaluate(() => {
    const found = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node instanceof Text) {
        if (!node.parentElement?.closest('script, noscript, style, code, [lang]:not(html)')) found.push(node.data);
      } else for (const name of ['title', 'aria-label', 'placeholder', 'alt', 'aria-valuetext']) found.push(node.getAttribute(name) ?? '');
    }
    return found.map((text) => text.replaceAll(/\s+/g, ' ').trim()).filter((text) => text !== '');
  });
  const escape = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const english = Object.entries(said)
    .flatMap(([key, text]) => (typeof text === 'string' ? [[key, text]] : key.split(' | ').map((form, n) => [form, Object.values(text)[n] ?? text.other])))
    // Some words are the same in both.
    .filter(([key, text]) => key !== text && /[a-z]{2}.* .*[a-z]{2}|^[A-Za-z]{3,}…?$/.test(key.replaceAll(placeholder, '')))
    .map(([key]) => new RegExp(`^${key.trim().split(placeholder).map(escape).join(PUT_IN)}$`, 's'));
  const ours = new Set(Object.values(said).flatMap((text) => (typeof text === 'string' ? [text] : Object.values(text))).map((text) => text.trim()));
  return [...new Set(texts)].filter((text) => !ours.has(text) && !own.includes(text) && english.some((sentence) => sentence.test(text)));
}
