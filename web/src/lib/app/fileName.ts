// Names of files that a person saves. A camera's name can hold anything; a file's name holds letters, digits and what cannot lead astray:
// no path, no control character, nothing that turns the direction of what follows.

const NAME_CHARS_MAX = 60;
const two = (number: number): string => String(number).padStart(2, '0');

/** Of a camera at a time, in the viewer's zone. A second file of the same time is numbered. */
export function fileName(camera: string, at: number, extension: string, number = 1): string {
  const plain = [...camera.normalize('NFC').replaceAll(/[^\p{L}\p{M}\p{N} _-]/gu, '_')].slice(0, NAME_CHARS_MAX).join('').trim();
  const date = new Date(at);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join('.');
  return `${plain || 'Camera'} ${day} ${time}${number > 1 ? `-${number}` : ''}.${extension}`;
}
