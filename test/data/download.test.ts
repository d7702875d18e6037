import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { download } from '../../lib/data/download.ts';
import { DataError, type DataProgress, openDataSet } from '../../lib/data/index.ts';
import { errorOf, scratchFolder } from './helpers.ts';

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31) % 251));
const md5 = createHash('md5').update(content).digest('hex');
const root = await scratchFolder();

let server: Server;
let url: string;
let requests: (string | undefined)[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let file: string;
let count = 0;

beforeEach(async () => {
  requests = [];
  answer = serveRange;
  file = join(root, `${count++}`, 'archive.bin');
  server = createServer((request, response) => {
    requests.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/archive.bin`;
});

afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  server.close();
});

function serveRange(request: IncomingMessage, response: ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (from >= content.length) {
    response.writeHead(416).end();
    return;
  }
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': content.length - from }).end(content.subarray(from));
}

/** Sends so much of the file, then drops the connection. */
const breakAfter = (bytes: number) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(200, { 'content-length': content.length });
  response.write(content.subarray(0, bytes), () => response.destroy());
};

describe('download', () => {
  it('fetches once, with progress', async () => {
    const seen: DataProgress[] = [];
    await download({ url, md5, file, onProgress: (progress) => seen.push(progress) });
    expect((await readFile(file)).equals(content)).toBe(true);
    expect(seen.at(-1)).toEqual({ phase: 'download', done: content.length, total: content.length });
    await download({ url, md5, file });
    expect(requests).toEqual([undefined]);
    expect(await readdir(join(file, '..'))).toEqual(['archive.bin']);
  });

  it('goes on where a broken download stopped', async () => {
    answer = breakAfter(100_000);
    await expect(download({ url, md5, file })).rejects.toThrow(DataError);
    answer = serveRange;
    const seen: DataProgress[] = [];
    await download({ url, md5, file, onProgress: (progress) => seen.push(progress) });
    const kept = Number(/\d+/.exec(requests[1] as string)?.[0]);
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThanOrEqual(100_000);
    expect(seen.at(-1)).toEqual({ phase: 'download', done: content.length, total: content.length });
    expect((await readFile(file)).equals(content)).toBe(true);
  });

  it('begins again where the server knows no ranges', async () => {
    answer = breakAfter(100_000);
    await errorOf(download({ url, md5, file }));
    answer = (_, response) => response.writeHead(200).end(content);
    await download({ url, md5, file });
    expect((await readFile(file)).equals(content)).toBe(true);
  });

  it('begins again where what was kept is not of this file', async () => {
    answer = breakAfter(100_000);
    await errorOf(download({ url, md5, file }));
    await writeFile(`${file}.part`, Buffer.alloc(50_000, 1));
    answer = serveRange;
    await download({ url, md5, file });
    expect(requests.slice(1)).toEqual(['bytes=50000-', undefined]);
    expect((await readFile(file)).equals(content)).toBe(true);
  });

  it('takes what was kept where it is whole', async () => {
    answer = breakAfter(100);
    await errorOf(download({ url, md5, file }));
    await writeFile(`${file}.part`, content);
    answer = serveRange;
    await download({ url, md5, file });
    expect(requests[1]).toBe(`bytes=${content.length}-`);
    expect((await readFile(file)).equals(content)).toBe(true);
  });

  it('refuses other content, and keeps nothing of it', async () => {
    answer = (_, response) => response.end('a log-in page');
    const error = await errorOf(download({ url, md5, file }));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toMatch(/does not have the MD5/);
    expect(await readdir(join(file, '..'))).toEqual([]);
  });

  it('refuses a damaged file that is there', async () => {
    await download({ url, md5, file });
    await writeFile(file, 'x');
    await expect(download({ url, md5, file })).rejects.toThrow(/archive\.bin: its MD5 is not .*Remove it/);
  });

  it.each([404, 503])('names the answer %d', async (status) => {
    answer = (_, response) => response.writeHead(status).end();
    await expect(download({ url, md5, file })).rejects.toThrow(
      new RegExp(`cannot be fetched \\(the server answers ${status}\\)`),
    );
  });

  it('says in one line what to do without a network', async () => {
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }) });
    });
    const error = await errorOf(openDataSet('cifar10', { cacheDir: join(root, 'cache') }));
    expect(error).toBeInstanceOf(DataError);
    expect(error.message).toBe(
      'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz: cannot be fetched (ENOTFOUND). Fetch it elsewhere and ' +
        `put it at ${join(root, 'cache', 'cifar-10-binary.tar.gz')}; meanwhile --data cifar10-mini needs no network.`,
    );
  });
});
