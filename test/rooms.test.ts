// Who may know whom: the rule of the house, read off the imports.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Rooms that a room knows directly; it also knows what those know. */
const knows: Record<string, readonly string[]> = {
  philox: [],
  graph: [],
  ops: ['graph'],
  nn: ['ops', 'philox'],
  models: ['nn'],
  optim: ['ops'],
  program: ['graph'],
  data: ['philox'],
  formats: [],
  train: ['data', 'optim', 'models', 'formats', 'program'],
  cli: ['train'],
};

/** Files that make up one room, beside the folders. */
const files: Record<string, string> = {
  'state.ts': 'program',
  'plan.ts': 'program',
  'choice.ts': 'program',
  'native-graph.ts': 'program',
};

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => pattern.test(path))
    .map((path) => join(folder, path).split(sep).join('/'));
}

function roomOf(path: string): string {
  const [first = ''] = path.replace(/^lib\//, '').split('/');
  return files[first] ?? first.replace(/\.ts$/, '');
}

function known(room: string): Set<string> {
  const found = new Set([room]);
  for (const next of found) for (const further of knows[next] ?? []) found.add(further);
  return found;
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function importsOf(from: string): Import[] {
  const text = readFileSync(join(root, from), 'utf8');
  const pattern = /(?:import|export)(\s+type)?\s[^;'"]*?from\s*'(\.[^']+)'|import\s*\(?\s*'(\.[^']+)'/g;
  return [...text.matchAll(pattern)].map(([, type, named, bare]) => {
    const to = relative(root, resolve(root, dirname(from), (named ?? bare) as string));
    return { from, to: to.split(sep).join('/'), typeOnly: type !== undefined };
  });
}

describe('lib', () => {
  const imports = filesBelow('lib', /\.ts$/).flatMap(importsOf);

  it('has every room in the table', () => {
    const rooms = new Set(imports.map(({ from }) => roomOf(from)));
    expect([...rooms].filter((room) => !(room in knows) && !['index', 'native'].includes(room))).toEqual([]);
  });

  it('imports only what a room may know', () => {
    expect(imports.length).toBeGreaterThan(100);
    const strangers = imports.filter(({ from, to }) => {
      const room = roomOf(from);
      return room !== 'index' && roomOf(to) !== 'native' && !known(room).has(roomOf(to));
    });
    expect(strangers).toEqual([]);
  });

  it('opens the addon only in program.ts, and for pictures in data/picture-reader.ts; their neighbours know the types', () => {
    const doors = imports.filter(({ to }) => to === 'lib/native.ts');
    expect(
      doors
        .filter(({ typeOnly }) => !typeOnly)
        .map(({ from }) => from)
        .sort(),
    ).toEqual(['lib/data/picture-reader.ts', 'lib/program.ts']);
    expect(doors.filter(({ from }) => !['program', 'data'].includes(roomOf(from)))).toEqual([]);
  });
});

describe('native', () => {
  const sources = filesBelow('native', /\.(cc|h|cu|cuh)$/);
  const includes = sources.flatMap((from) => {
    const text = readFileSync(join(root, from), 'utf8');
    return [...text.matchAll(/#include\s*[<"]([^>"]+)[>"]/g)].map(([, header]) => ({ from, header: header as string }));
  });
  const including = (header: RegExp) => includes.filter((include) => header.test(include.header));
  const outside = (list: typeof includes, folder: string) => list.filter(({ from }) => !from.startsWith(folder));

  it('reads Node-API headers only in binding', () => {
    expect(including(/^(napi|node_api|js_native_api|uv|node)\b.*\.h$/).length).toBeGreaterThan(0);
    expect(outside(including(/^(napi|node_api|js_native_api|uv|node)\b.*\.h$/), 'native/binding/')).toEqual([]);
  });

  it('reads oneDNN headers only in backend/cpu and CUDA headers only in backend/cuda', () => {
    expect(including(/dnnl/).length).toBeGreaterThan(0);
    expect(outside(including(/dnnl/), 'native/backend/cpu/')).toEqual([]);
    expect(outside(including(/^(cuda|cudnn|cublas|nvrtc)/), 'native/backend/cuda/')).toEqual([]);
  });

  it('lets a back end know the program, the contract and itself, never another back end', () => {
    const strangers = including(/^backend\/(reference|cpu|cuda)\//).filter(({ from, header }) => {
      const own = header.split('/').slice(0, 2).join('/');
      return !from.startsWith(`native/${own}/`) && from.startsWith('native/backend/') && from.split('/').length > 3;
    });
    expect(strangers).toEqual([]);
  });

  it('reads libjpeg headers only in image, which knows only itself', () => {
    expect(including(/^j(peglib|error)\.h$/).length).toBeGreaterThan(0);
    expect(outside(including(/^j(peglib|error)\.h$/), 'native/image/')).toEqual([]);
    const local = includes.filter(({ from, header }) => from.startsWith('native/image/') && header.includes('/'));
    expect(local.filter(({ header }) => !header.startsWith('image/'))).toEqual([]);
  });

  it('lets program know only itself and the contract, and binding only program and image', () => {
    const own = (from: string, header: string) => sources.includes(`${dirname(from)}/${header}`);
    const local = includes.filter(({ header }) => header.includes('/') && sources.includes(`native/${header}`));
    const strangers = local.filter(({ from, header }) => {
      if (own(from, header)) return false;
      if (from.startsWith('native/program/')) return !/^program\/|^backend\/backend\.h$/.test(header);
      return from.startsWith('native/binding/') && !/^(binding|program|image)\/|^backend\/[a-z]+\.h$/.test(header);
    });
    expect(strangers).toEqual([]);
  });
});
