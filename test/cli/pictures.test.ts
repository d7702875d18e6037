import { expect, it } from 'vitest';
import { describePicture, picturePage, terminalPictures } from '../../lib/cli/pictures.ts';

/** 2 rows of 3 pixels: red, green, blue; white, black, grey. */
const picture = {
  pixels: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 128, 128, 128),
  ...{ height: 2, width: 3, channels: 3 },
  ...{ label: 'cat', prediction: '<dog>', probability: 0.314 },
};

it('shows two rows of pixels in one line of half blocks', () => {
  const [line, ...captions] = terminalPictures([picture], 80).split('\n');
  expect(line).toBe(
    '\x1b[38;2;255;0;0m\x1b[48;2;255;255;255m▀\x1b[38;2;0;255;0m\x1b[48;2;0;0;0m▀' +
      '\x1b[38;2;0;0;255m\x1b[48;2;128;128;128m▀\x1b[0m',
  );
  expect(captions).toHaveLength(2);
});

it('puts as many pictures side by side as fit', () => {
  const wide = { ...picture, width: 32, height: 2, pixels: new Uint8Array(2 * 32 * 3) };
  const rows = (columns: number) => terminalPictures(Array(10).fill(wide), columns).split('\n\n').length;
  expect([rows(20), rows(80), rows(400)]).toEqual([10, 5, 1]);
});

it('says what was seen in words', () => {
  expect(describePicture(picture)).toBe('cat          seen as <dog> (31 %)           wrong');
  expect(describePicture({ ...picture, prediction: 'cat' })).toMatch(/right$/);
});

it('writes a page that holds its pictures', () => {
  const page = picturePage('A & B', [picture]);
  expect(page).toContain('<title>A &amp; B</title>');
  expect(page).toContain('<b>&lt;dog></b> 31 %<br>it is: cat');
  const data = /data:image\/bmp;base64,([^"]+)/.exec(page)?.[1] as string;
  const file = Buffer.from(data, 'base64');
  expect(file.toString('latin1', 0, 2)).toBe('BM');
  expect(file.readUInt32LE(2)).toBe(file.length);
  expect([file.readInt32LE(18), file.readInt32LE(22), file.readUInt16LE(28)]).toEqual([3, 2, 24]);
  const lowerRow = [...file.subarray(54, 54 + 9)];
  const upperRow = [...file.subarray(54 + 12, 54 + 12 + 9)];
  expect(lowerRow).toEqual([255, 255, 255, 0, 0, 0, 128, 128, 128]);
  expect(upperRow).toEqual([0, 0, 255, 0, 255, 0, 255, 0, 0]); // blue, green, red
});

it('shows grey pictures too', () => {
  const grey = { ...picture, channels: 1, pixels: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  expect(terminalPictures([grey], 80)).toContain('\x1b[38;2;3;3;3m\x1b[48;2;6;6;6m▀');
});
