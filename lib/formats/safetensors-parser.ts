// The header's own JSON: JSON.parse would keep the last of two equal keys, round integers above 2^53 and let a tensor
// named "__proto__" change an object. The grammar is fixed, so nothing nests and a hostile header cannot recurse.

export interface RawTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly offsets: [number, number];
}

export interface RawHeader {
  readonly tensors: Map<string, RawTensor>;
  readonly metadata: Map<string, string>;
}

export class HeaderSyntaxError extends Error {}

export function parseHeader(text: string): RawHeader {
  return new HeaderParser(text).header();
}

class HeaderParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  header(): RawHeader {
    const tensors = new Map<string, RawTensor>();
    let metadata: Map<string, string> | undefined;
    if (this.#text[0] !== '{') this.#fail('the header must begin with {');
    this.#members((key) => {
      if (key === '__metadata__') {
        if (metadata !== undefined) this.#fail('the name "__metadata__" is there twice');
        metadata = this.#strings();
      } else {
        if (tensors.has(key)) this.#fail(`the name ${JSON.stringify(key)} is there twice`);
        tensors.set(key, this.#tensor(key));
      }
    });
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('there is more after the closing }');
    return { tensors, metadata: metadata ?? new Map() };
  }

  #strings(): Map<string, string> {
    const strings = new Map<string, string>();
    this.#members((key) => {
      if (strings.has(key)) this.#fail(`__metadata__ has the key ${JSON.stringify(key)} twice`);
      if (this.#peek() !== '"') this.#fail(`__metadata__ ${JSON.stringify(key)} is not a string`);
      strings.set(key, this.#string());
    });
    return strings;
  }

  #tensor(name: string): RawTensor {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    const once = (value: unknown, key: string) => {
      if (value !== undefined) this.#fail(`tensor ${JSON.stringify(name)} has ${key} twice`);
    };
    this.#members((key) => {
      if (key === 'dtype') {
        once(dtype, key);
        dtype = this.#string();
      } else if (key === 'shape') {
        once(shape, key);
        shape = this.#integers();
      } else if (key === 'data_offsets') {
        once(offsets, key);
        offsets = this.#integers();
      } else this.#fail(`tensor ${JSON.stringify(name)} has the unknown key ${JSON.stringify(key)}`);
    });
    if (dtype === undefined || shape === undefined || offsets === undefined)
      this.#fail(`tensor ${JSON.stringify(name)} must have dtype, shape and data_offsets`);
    const [begin, end] = offsets;
    if (begin === undefined || end === undefined || offsets.length > 2)
      this.#fail(`tensor ${JSON.stringify(name)} must have two data_offsets, not ${offsets.length}`);
    return { dtype, shape, offsets: [begin, end] };
  }

  /** An object, calling `value` with each key when its value is next. */
  #members(value: (key: string) => void): void {
    this.#expect('{');
    if (this.#accept('}')) return;
    do {
      const key = this.#string();
      this.#expect(':');
      value(key);
    } while (this.#accept(','));
    this.#expect('}');
  }

  #integers(): number[] {
    const integers: number[] = [];
    this.#expect('[');
    if (this.#accept(']')) return integers;
    do integers.push(this.#integer());
    while (this.#accept(','));
    this.#expect(']');
    return integers;
  }

  #integer(): number {
    this.#skipSpace();
    const start = this.#at;
    while (this.#at < this.#text.length && !',]} \t\r\n'.includes(this.#text[this.#at] as string)) this.#at++;
    const token = this.#text.slice(start, this.#at);
    const shown = token.length > 40 ? `${token.slice(0, 40)}...` : token;
    if (!/^(0|[1-9][0-9]*)$/.test(token))
      this.#fail(`expected an integer from 0, found ${JSON.stringify(shown)}`, start);
    if (!Number.isSafeInteger(Number(token))) this.#fail(`the integer ${shown} is above 2^53 - 1`, start);
    return Number(token);
  }

  #string(): string {
    this.#expect('"');
    const start = this.#at;
    let end = this.#text.indexOf('"', start);
    while (end >= 0 && this.#isEscaped(start, end)) end = this.#text.indexOf('"', end + 1);
    if (end < 0) this.#fail('the text ends inside a string', start - 1);
    this.#at = end + 1;
    const string = this.#text.slice(start, end);
    if (isPlain(string)) return string;
    try {
      return JSON.parse(`"${string}"`) as string;
    } catch {
      return this.#fail('malformed string', start - 1);
    }
  }

  #isEscaped(start: number, quote: number): boolean {
    let backslashes = 0;
    while (quote - 1 - backslashes >= start && this.#text[quote - 1 - backslashes] === '\\') backslashes++;
    return backslashes % 2 === 1;
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && ' \t\r\n'.includes(this.#text[this.#at] as string)) this.#at++;
  }

  #peek(): string | undefined {
    this.#skipSpace();
    return this.#text[this.#at];
  }

  #accept(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    if (this.#accept(token)) return;
    const found = this.#text[this.#at];
    this.#fail(`expected ${token}, found ${found === undefined ? 'the end' : JSON.stringify(found)}`);
  }

  #fail(problem: string, at = this.#at): never {
    throw new HeaderSyntaxError(`${problem} (at character ${at} of the header)`);
  }
}

/** Whether the text between the quotes is the string itself: no escapes, and no control characters, which are errors. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x5c) return false;
  }
  return true;
}
