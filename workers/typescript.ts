/**
 * TypeScript files in a thread. Threads inherit `--import tsx`, but on Node before 22.15 tsx installs its hooks in the
 * main thread only (privatenumber/tsx issue 354); its own API installs them here.
 */
import Module, { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

let installing: Promise<void> | undefined

/** Makes this thread able to import `url`, if it is TypeScript, or the process was started by tsx. */
export function enableTypeScript(url: string): Promise<void> | undefined {
  // Node with synchronous hooks: tsx installs them in each thread by itself.
  if (installing !== undefined || 'registerHooks' in Module) return installing
  const loader = process.execArgv.find(arg => /[\\/]tsx[\\/]dist[\\/]/.test(arg))
  if (loader === undefined && !/\.[cm]?tsx?([?#]|$)/.test(url)) return undefined
  installing = install(createRequire(loader ?? url))
  return installing
}

async function install(from: NodeJS.Require): Promise<void> {
  let home: string
  try {
    home = from.resolve('tsx/package.json')
  } catch (error) {
    // Without tsx the import that follows says what is wrong, or another loader knows the file.
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return
    throw error
  }
  // By path, not by `tsx/esm/api`: what `require` gets under that name can't find its own hooks from a thread.
  for (const api of ['./dist/esm/api/index.mjs', './dist/cjs/api/index.mjs']) {
    const { register } = (await import(new URL(api, pathToFileURL(home)).href)) as { register(): unknown }
    register()
  }
}
