// What the build makes of message files (languages/plugin.ts).
declare module 'virtual:languages/app' {
  const languages: import('./lib/app/language.svelte').Languages;
  export default languages;
}
declare module 'virtual:languages/shared' {
  const languages: import('./lib/app/language.svelte').Languages;
  export default languages;
}
declare module 'virtual:languages/service-worker' {
  const languages: Record<string, [import('./lib/say').Messages]>;
  export default languages;
}
