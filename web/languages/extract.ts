// Finds what a source file says to people, and has it said in their language. English stands in the sources and is the key; nothing there is
// marked by hand but what this cannot know. Called by the plugin, which rewrites, and by the check, which compares with the message files.
// What it does not know it leaves in English, and never changes what is not in a message file.

import { parse } from 'svelte/compiler';

export interface Message {
  /** As it stands in message files: `{names}` for what is put in; both forms of a plural, with ` | ` between them. */
  key: string;
  /** As the app asks for it: `{0}`, `{1}` in the order of the English sentence. */
  english: string;
}

interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}
interface Place {
  /** Whether it is run anew each time, or once when the file is loaded: the language is not known by then. */
  later: boolean;
  /** Whether the text around it is shown, so that a single small word is one of it. */
  shown: boolean;
}
type Part = string | Node;

export interface Extracted {
  code: string;
  messages: Message[];
  /** What cannot follow the language where it stands. */
  problems: string[];
}

const SPOKEN = new Set(['title', 'alt', 'placeholder', 'label', 'aria-label', 'aria-description', 'aria-roledescription', 'aria-valuetext']);
/** Of components, where any name may be one for text. */
const UNSPOKEN = /^(class|style|href|id|for|name|type|icon|src|role|key|d|data-.*|aria-(current|live|labelledby|describedby|controls|pressed|hidden))$/;
const SILENT_ELEMENTS = new Set(['code', 'pre', 'script', 'style', 'svg']);
/** What is called with names, never with words for people. */
const SILENT_CALLS = /(^|\.)(querySelector|querySelectorAll|closest|matches|getElementById|createElement|addEventListener|removeEventListener|setAttribute|getContext|matchMedia|DateTimeFormat|get|has|set|append|encode|URL)$|^console\.|^import\.meta|^\$/;
const COMPARISONS = new Set(['==', '===', '!=', '!==', 'in', '<', '>']);

export function extract(source: string, file: string, silent: ReadonlySet<string>): Extracted {
  const isSvelte = file.endsWith('.svelte');
  // One parser for both: a file of TypeScript is the script of a component without markup.
  const opening = isSvelte ? '' : '<script module lang="ts">';
  const code = isSvelte ? source : `${opening}${source.replaceAll('</script', '<\\/script')}</script>`;
  const root = parse(code, { modern: true, filename: file }) as unknown as Record<'fragment' | 'instance' | 'module', Node | null>;
  const found = new Finder(code, silent);
  if (root.module) found.visit(root.module.content as Node, { later: false, shown: false });
  if (root.instance) found.visit(root.instance.content as Node, { later: true, shown: false });
  if (isSvelte && root.fragment) found.visit(root.fragment, { later: true, shown: false });
  const problems = found.problems.map(({ at, what }) => `${file}:${code.slice(0, at).split('\n').length}: ${what}`);
  if (found.edits.length === 0) return { code: source, messages: found.messages, problems };
  const imported = `import { plural as $plural_, t as $t_, tAs as $tAs_ } from ${JSON.stringify(RUNTIME)};`.replaceAll('$', '_');
  let out: string;
  if (!isSvelte) out = imported + found.render(opening.length, code.length - '</script>'.length);
  else if (root.instance) {
    const at = (root.instance.content as Node).start;
    out = `${found.render(0, at)}${imported}${found.render(at, code.length)}`;
  } else out = `<script lang="ts">${imported}</script>${found.render(0, code.length)}`;
  return { code: out, messages: found.messages, problems };
}

/** What is put into the files that say something. */
export const RUNTIME = 'virtual:say';

class Finder {
  readonly edits: { start: number; end: number; text: () => string }[] = [];
  readonly messages: Message[] = [];
  readonly problems: { at: number; what: string }[] = [];
  constructor(
    private readonly code: string,
    private readonly silent: ReadonlySet<string>,
  ) {}

  /** A part of the source with all that was changed inside it. */
  render(start: number, end: number): string {
    let out = '';
    let at = start;
    const inside = this.edits.filter((edit) => edit.start >= start && edit.end <= end).sort((a, b) => a.start - b.start || b.end - a.end);
    for (const edit of inside) {
      if (edit.start < at) continue;
      out += this.code.slice(at, edit.start) + edit.text();
      at = edit.end;
    }
    return out + this.code.slice(at, end);
  }

  visit(node: Node, place: Place): void {
    switch (node.type) {
      case 'Fragment':
        return this.fragment(node.nodes as Node[], place);
      case 'RegularElement':
      case 'SvelteElement':
        for (const attribute of node.attributes as Node[]) this.attribute(attribute, place, node.name as string);
        return SILENT_ELEMENTS.has(node.name as string) ? undefined : this.visit(node.fragment as Node, place);
      case 'Component':
      case 'SvelteComponent':
        for (const attribute of node.attributes as Node[]) this.attribute(attribute, place, null);
        return this.visit(node.fragment as Node, place);
      case 'ExpressionTag':
        return this.visit(node.expression as Node, { ...place, shown: true });
      case 'IfBlock':
        this.visit(node.test as Node, { ...place, shown: false });
        this.visit(node.consequent as Node, place);
        return node.alternate ? this.visit(node.alternate as Node, place) : undefined;
      case 'Literal':
        return typeof node.value === 'string' ? this.text(node, [node.value], place) : undefined;
      case 'TemplateLiteral':
        return this.text(node, partsOf(node), place);
      case 'ConditionalExpression':
        return this.conditional(node, place);
      case 'CallExpression':
      case 'NewExpression':
        return this.call(node, place);
      case 'BinaryExpression': {
        const compares = COMPARISONS.has(node.operator as string);
        for (const side of [node.left, node.right] as Node[]) if (!compares || side.type !== 'Literal') this.visit(side, { ...place, shown: !compares && place.shown });
        return;
      }
      case 'MemberExpression':
        this.visit(node.object as Node, { ...place, shown: false });
        return node.computed && (node.property as Node).type !== 'Literal' ? this.visit(node.property as Node, { ...place, shown: false }) : undefined;
      case 'Property':
        return this.property(node, place);
      case 'PropertyDefinition':
        return node.value ? this.visit(node.value as Node, { ...place, later: !node.static || place.later }) : undefined;
      case 'SwitchCase':
        for (const each of node.consequent as Node[]) this.visit(each, place);
        return;
      case 'TSAsExpression':
      case 'TSNonNullExpression':
      case 'TSSatisfiesExpression': {
        const inner = node.expression as Node;
        // `'camera' as const` is a name.
        return inner.type === 'Literal' && node.type === 'TSAsExpression' ? undefined : this.visit(inner, place);
      }
      case 'TaggedTemplateExpression':
      case 'ImportDeclaration':
      case 'ImportExpression':
      case 'ExportAllDeclaration':
        return;
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
      case 'FunctionDeclaration':
        return this.children(node, { later: true, shown: place.shown && node.type === 'ArrowFunctionExpression' });
      default:
        if (/^TS(?!ParameterProperty)/.test(node.type)) return;
        return this.children(node, node.type.endsWith('Block') || node.type === 'LogicalExpression' || node.type === 'AwaitExpression' ? place : { ...place, shown: false });
    }
  }

  private children(node: Node, place: Place): void {
    for (const [name, value] of Object.entries(node)) {
      if (name === 'loc' || name === 'metadata' || name === 'typeAnnotation' || name === 'typeParameters' || name === 'typeArguments' || name === 'key') continue;
      for (const child of Array.isArray(value) ? value : [value]) if (child && typeof (child as Node).type === 'string') this.visit(child as Node, place);
    }
  }

  /** Text and what is put into it is one sentence, as far as no element divides it. */
  private fragment(nodes: Node[], place: Place): void {
    let run: Node[] = [];
    const flush = (): void => {
      this.sentence(run, place);
      run = [];
    };
    for (const node of nodes) {
      if (node.type === 'Text' || node.type === 'ExpressionTag') run.push(node);
      else {
        if (node.type !== 'Comment') flush();
        this.visit(node, place);
      }
    }
    flush();
  }

  private sentence(run: Node[], place: Place): void {
    const isText = (node: Node): boolean => node.type === 'Text' || isSpace(node);
    while (run.length > 0 && isText(run[0]!) && !/\S/.test(textOf(run[0]!))) run.shift();
    while (run.length > 0 && isText(run.at(-1)!) && !/\S/.test(textOf(run.at(-1)!))) run.pop();
    if (run.length === 0) return;
    const parts = run.map((node): Part => (isText(node) ? textOf(node).replaceAll(/\s+/g, ' ') : (node.expression as Node)));
    const inner = { ...place, shown: true };
    if (!parts.some((part) => typeof part === 'string' && /\p{L}/u.test(part))) return this.nested(parts, inner);
    const [first, last] = [run[0]!, run.at(-1)!];
    let [start, end] = [first.start, last.end];
    if (first.type === 'Text') {
      start += /^\s*/.exec(first.raw as string)![0].length;
      parts[0] = (parts[0] as string).trimStart();
    }
    if (last.type === 'Text') {
      end -= /\s*$/.exec(last.raw as string)![0].length;
      parts[parts.length - 1] = (parts.at(-1) as string).trimEnd();
    }
    this.say(start, end, parts, inner, (said) => `{${said}}`);
  }

  private attribute(node: Node, place: Place, element: string | null): void {
    if (node.type !== 'Attribute') return this.children(node, { ...place, shown: false });
    const name = node.name as string;
    const spoken = element === null ? !UNSPOKEN.test(name) && !name.startsWith('on') : SPOKEN.has(name) && !(element === 'track');
    const value = node.value as true | Node | Node[];
    if (value === true) return;
    const parts = Array.isArray(value) ? value : [value];
    if (parts.length === 1 && parts[0]!.type === 'ExpressionTag') {
      if (/^(class|style|id|href|data-.*)$/.test(name)) return;
      return this.visit(parts[0]!.expression as Node, { ...place, shown: spoken && element !== null });
    }
    const words = parts.map((part): Part => (part.type === 'Text' ? (part.data as string) : (part.expression as Node)));
    if (spoken && this.isSaid(words, { ...place, shown: element !== null })) return this.say(node.start, node.end, words, place, (said) => `${name}={${said}}`);
    if (!/^(class|style|id|href|data-.*)$/.test(name)) this.nested(words, { ...place, shown: spoken && element !== null });
  }

  private call(node: Node, place: Place): void {
    const callee = node.callee as Node;
    const name = this.code.slice(callee.start, callee.end);
    const given = node.arguments as Node[];
    if (name === 't' && given[0]) return this.say(node.start, node.end, given[0].type === 'TemplateLiteral' ? partsOf(given[0]) : [String(given[0].value)], place, (said) => said);
    if (name === 'tAs' && given[1]) return this.sayAs(node, String(given[0]!.value), String(given[1].value), place);
    this.visit(callee, { ...place, shown: false });
    const isSilent = SILENT_CALLS.test(name) && !/^\$(derived|state|effect)/.test(name);
    for (const each of given) if (!isSilent || (each.type !== 'Literal' && each.type !== 'TemplateLiteral')) this.visit(each, { ...place, shown: false });
  }

  /** `n === 1 ? 'one thing' : 'many things'` is a plural, of which languages have other forms. */
  private conditional(node: Node, place: Place): void {
    const test = node.test as Node;
    this.visit(test, { ...place, shown: false });
    const [one, other] = [node.consequent as Node, node.alternate as Node];
    const [ones, others] = [wordsOf(one), wordsOf(other)];
    if (test.type === 'BinaryExpression' && test.operator === '===' && (test.right as Node).value === 1 && ones && others && (this.isSaid(ones, place) || this.isSaid(others, place))) {
      this.nested([...ones, ...others], { ...place, shown: true });
      const put = new Values(this.code);
      const key = `${put.named(ones)} | ${put.named(others)}`;
      const english = put.numbered(key);
      this.keep(key, english, node.start, place);
      const [first, second] = english.split(' | ') as [string, string];
      const count = test.left as Node;
      const values = put.nodes.map((value) => this.render(value.start, value.end));
      return void this.edits.push({ start: node.start, end: node.end, text: () => `_plural_(${[this.render(count.start, count.end), JSON.stringify(first), JSON.stringify(second), ...values].join(', ')})` });
    }
    this.visit(one, place);
    this.visit(other, place);
  }

  private property(node: Node, place: Place): void {
    const [name, value] = [node.key as Node, node.value as Node];
    if (node.computed) this.visit(name, { ...place, shown: false });
    if (node.shorthand || node.kind !== 'init') return node.kind === 'init' ? undefined : this.visit(value, place);
    if (!place.later && value.type === 'CallExpression' && this.code.slice(value.start, value.end).startsWith('tAs(')) {
      const [as, english] = (value.arguments as Node[]).map((each) => String(each.value)) as [string, string];
      return this.sayAs(node, as, english, { ...place, later: true }, (said) => `get ${this.code.slice(name.start, name.end)}() { return ${said}; }`);
    }
    const asked = value.type === 'CallExpression' && this.code.slice(value.start, value.end).startsWith('t(');
    const words = asked ? [String(((value.arguments as Node[])[0] as Node).value)] : wordsOf(value);
    if (!place.later && words && words.length === 1 && (asked || this.isSaid(words, place))) {
      // A table is made when its file is loaded: its words are looked up when they are wanted.
      return this.say(node.start, node.end, words, { ...place, later: true }, (said) => `get ${this.code.slice(name.start, name.end)}() { return ${said}; }`);
    }
    this.visit(value, { ...place, shown: false });
  }

  private text(node: Node, parts: Part[], place: Place): void {
    if (this.isSaid(parts, place)) return this.say(node.start, node.end, parts, place, (said) => said);
    this.nested(parts, place);
  }

  private nested(parts: Part[], place: Place): void {
    for (const part of parts) if (typeof part !== 'string') this.visit(part, place);
  }

  /** Whether this is said to people: a sentence, a capital letter at its beginning, or a word where words stand. */
  private isSaid(parts: Part[], { shown }: Place): boolean {
    const text = parts.map((part) => (typeof part === 'string' ? part : '{}')).join('');
    // A drawing, or the label of a key: what is signed must not change with the language.
    if (/^[Mm]-?\d|^lenskeep [a-z ]+ v\d+$/.test(text) || !/\p{L}{2}/u.test(text.replaceAll('{}', '')) || this.silent.has(new Values(this.code).named(parts))) return false;
    if (shown) return !/^[a-z]+([-_./#][a-z]+)+$/.test(text) && !/^[a-z]+:/.test(text);
    return /^\p{Lu}[\p{Ll}’-]+[….!?:]*$/u.test(text) || (/\p{Ll}/u.test(text) && /[\p{L}\p{N}“”’)}:,;.]\s+[\p{L}\p{N}“‘({<]|^\s\p{L}/u.test(text) && !/^[./#<&?]|[;{]\s*[a-z-]+:\s/.test(text.replaceAll('{}', '')));
  }

  private say(start: number, end: number, parts: Part[], place: Place, wrap: (said: string) => string): void {
    // What stands inside a sentence is a part of it, be it a single small word.
    this.nested(parts, { ...place, shown: true });
    const put = new Values(this.code);
    const key = put.named(parts);
    if (this.silent.has(key)) return;
    const english = put.numbered(key);
    this.keep(key, english, start, place);
    this.edits.push({ start, end, text: () => wrap(`_t_(${[JSON.stringify(english), ...put.nodes.map((value) => this.render(value.start, value.end))].join(', ')})`) });
  }

  private sayAs(node: Node, as: string, english: string, place: Place, wrap = (said: string): string => said): void {
    const key = `${english} [${as}]`;
    this.keep(key, key, node.start, place);
    this.edits.push({ start: node.start, end: node.end, text: () => wrap(`_tAs_(${JSON.stringify(as)}, ${JSON.stringify(english)})`) });
  }

  private keep(key: string, english: string, at: number, place: Place): void {
    this.messages.push({ key, english });
    if (!place.later) this.problems.push({ at, what: `“${key}” is read when the file is loaded: make it a function, so that it is said in the language that is chosen` });
  }
}

/** What is put into a sentence, with names for translators. */
class Values {
  readonly nodes: Node[] = [];
  private readonly names: string[] = [];
  constructor(private readonly code: string) {}

  named(parts: Part[]): string {
    return parts.map((part) => (typeof part === 'string' ? part : `{${this.put(part)}}`)).join('');
  }

  numbered(key: string): string {
    return numbered(key);
  }

  private put(node: Node): string {
    const same = this.nodes.findIndex((other) => this.code.slice(other.start, other.end) === this.code.slice(node.start, node.end));
    if (same >= 0) return this.names[same]!;
    const base = nameOf(node);
    let name = base;
    for (let n = 2; this.names.includes(name); n += 1) name = `${base}${n}`;
    this.nodes.push(node);
    this.names.push(name);
    return name;
  }
}

/** Names of what is put in, as numbers in the order of their first use. */
export function numbered(key: string): string {
  const names: string[] = [];
  return key.replaceAll(PLACEHOLDER, (_, name: string) => {
    if (!names.includes(name)) names.push(name);
    return `{${names.indexOf(name)}}`;
  });
}

export const PLACEHOLDER = /\{([A-Za-z_]\w*|\d+)\}/g;

function nameOf(node: Node): string {
  if (node.type === 'Identifier') return node.name as string;
  if (node.type === 'MemberExpression' && !node.computed) {
    const property = (node.property as Node).name as string;
    return property === 'length' ? nameOf(node.object as Node) : property;
  }
  if (node.type === 'MemberExpression') return nameOf(node.object as Node);
  if (node.type === 'CallExpression' || node.type === 'ChainExpression' || node.type.startsWith('TS')) return nameOf((node.callee ?? node.expression) as Node);
  if (node.type === 'LogicalExpression') return nameOf(node.left as Node);
  return 'value';
}

function partsOf(node: Node): Part[] {
  const quasis = node.quasis as { value: { cooked: string } }[];
  const expressions = node.expressions as Node[];
  return quasis.flatMap(({ value }, n): Part[] => [...(value.cooked === '' ? [] : [value.cooked]), ...(expressions[n] ? [expressions[n]] : [])]);
}

/** Null for what is no text. */
function wordsOf(node: Node): Part[] | null {
  if (node.type === 'Literal' && typeof node.value === 'string') return [node.value];
  return node.type === 'TemplateLiteral' ? partsOf(node) : null;
}

const isSpace = (node: Node): boolean => node.type === 'ExpressionTag' && (node.expression as Node).type === 'Literal' && (node.expression as Node).value === ' ';
const textOf = (node: Node): string => (node.type === 'Text' ? (node.data as string) : ' ');
