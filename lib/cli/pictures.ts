// Pictures for people: in the terminal as half blocks in 24-bit colour, in a page that needs nothing but itself.
import { escapeHtml, page } from './html.ts';

/** One picture [height, width, channels] of uint8 with what was seen in it. */
export interface SeenPicture {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly label: string;
  readonly prediction: string;
  readonly probability: number;
}

export function describePicture(picture: SeenPicture): string {
  const verdict = picture.label === picture.prediction ? 'right' : 'wrong';
  const seen = `${picture.prediction} (${Math.round(100 * picture.probability)} %)`;
  return `${picture.label.padEnd(12)} seen as ${seen.padEnd(22)} ${verdict}`;
}

/** Pictures side by side, as many as `columns` characters hold; each line of text shows two rows of pixels. */
export function terminalPictures(pictures: readonly SeenPicture[], columns: number): string {
  const widest = Math.max(...pictures.map((picture) => picture.width), 1);
  const perRow = Math.max(1, Math.floor(columns / (widest + 2)));
  const rows: string[] = [];
  for (let at = 0; at < pictures.length; at += perRow) {
    rows.push(pictureRow(pictures.slice(at, at + perRow)));
  }
  return rows.join('\n\n');
}

function pictureRow(pictures: readonly SeenPicture[]): string {
  const lines: string[] = [];
  const height = Math.max(...pictures.map((picture) => picture.height));
  for (let y = 0; y < height; y += 2) {
    lines.push(pictures.map((picture) => halfBlocks(picture, y)).join('  '));
  }
  const caption = (text: (picture: SeenPicture) => string) =>
    pictures.map((picture) => text(picture).slice(0, picture.width).padEnd(picture.width)).join('  ');
  lines.push(
    caption((p) => `${p.label === p.prediction ? '✓' : '✗'} ${p.prediction} ${Math.round(100 * p.probability)} %`),
  );
  lines.push(caption((p) => `  it is: ${p.label}`));
  return lines.join('\n');
}

function halfBlocks(picture: SeenPicture, y: number): string {
  let line = '';
  for (let x = 0; x < picture.width; x += 1) {
    const [top, bottom] = [colour(picture, y, x), colour(picture, Math.min(y + 1, picture.height - 1), x)];
    line += `\x1b[38;2;${top.join(';')}m\x1b[48;2;${bottom.join(';')}m▀`;
  }
  return `${line}\x1b[0m`;
}

function colour({ pixels, width, channels }: SeenPicture, y: number, x: number): [number, number, number] {
  const at = (y * width + x) * channels;
  const channel = (c: number) => pixels[at + Math.min(c, channels - 1)] as number;
  return [channel(0), channel(1), channel(2)];
}

export function picturePage(title: string, pictures: readonly SeenPicture[]): string {
  const figures = pictures.map(
    (picture) =>
      `<figure class="${picture.label === picture.prediction ? 'right' : 'wrong'}"><img src="${bitmapUri(picture)}" alt="">` +
      `<figcaption><b>${escapeHtml(picture.prediction)}</b> ${Math.round(100 * picture.probability)} %<br>` +
      `it is: ${escapeHtml(picture.label)}</figcaption></figure>`,
  );
  const style = `main { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; border-bottom: 4px solid }
img { width: 160px; image-rendering: pixelated; display: block }
.right { border-color: seagreen }
.wrong { border-color: crimson }`;
  return page(title, style, `<main>\n${figures.join('\n')}\n</main>`);
}

/** A 24-bit BMP: 54 bytes of header, rows from the bottom up, padded to 4 bytes, in BGR. */
function bitmapUri(picture: SeenPicture): string {
  const { width, height } = picture;
  const stride = Math.ceil((3 * width) / 4) * 4;
  const file = Buffer.alloc(54 + stride * height);
  file.write('BM', 0, 'latin1');
  file.writeUInt32LE(file.length, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeInt32LE(width, 18);
  file.writeInt32LE(height, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [r, g, b] = colour(picture, y, x);
      file.set([b, g, r], 54 + (height - 1 - y) * stride + 3 * x);
    }
  }
  return `data:image/bmp;base64,${file.toString('base64')}`;
}
