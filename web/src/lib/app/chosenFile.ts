// A file whose name a person has chosen: the browser makes it at once, and fills it when it is whole.

/** Takes back what is `whole`, or else what is empty: before that, a file with something in it is not ours. */
export async function takeBack(file: FileSystemFileHandle & { remove?: () => Promise<void> }, whole: boolean): Promise<void> {
  const size = await file.getFile().then((found) => found.size, () => null);
  if (whole || size === 0) await file.remove?.().catch(() => undefined);
}
