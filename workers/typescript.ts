/**
 * TypeScript files in a thread. Threads inherit `--import tsx`, but on Node before 22.15 tsx installs its hooks in the
 * main thread only (privatenumber/tsx issue 354); its own API installs them here.
 */
import Module, { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { codeOf } from '../src/errors/thrown.js'

let installing: Promise<void> | undefined

/** Makes this thread able to import `url`, if it is TypeScript, or the process was started with tsx. */
export function enableTypeScript(url: string): Promise<void> | undefined {
  // Node with synchronous hooks: tsx installs them in each thread by itself.
  if (installing !== undefined || 'registerHooks' in Module) return installing
  const base = preloadedTsx() ?? (/\.[cm]?tsx?([?#]|$)/.test(url) ? url : undefined)
  if (base === undefined) return undefined
  installing = install(createRequire(base))
  return installing
}

/** The file to resolve tsx from, if the process was started with it. */
function preloadedTsx(): string | undefined {
  for (const module of preloads()) {
    // Node resolves a bare name from the working directory.
    if (module === 'tsx' || module.startsWith('tsx/')) return join(process.cwd(), 'noop.js')
    if (!/[\\/]tsx[\\/]dist[\\/]/.test(module)) continue
    return module.startsWith('file:') ? fileURLToPath(module) : resolve(module)
  }
  return undefined
}

/** The modules of `--import`, `--require` and `--loader`, on the command line and in NODE_OPTIONS. */
function preloads(): string[] {
  const words = [...optionWords(process.env.NODE_OPTIONS ?? ''), ...process.execArgv]
  const modules: string[] = []
  words.forEach((word, index) => {
    const option = /^(?:--import|--require|-r|--loader|--experimental-loader)(?:=(.*))?$/s.exec(word)
    if (option !== null) modules.push(option[1] ?? words[index + 1] ?? '')
  })
  return modules
}

/**
 * NODE_OPTIONS as Node parses it: words between spaces; double quotes keep spaces together, a backslash in them
 * escapes.
 */
function optionWords(options: string): string[] {
  const words = options.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? []
  return words.map(word => word.replace(/"((?:\\.|[^"\\])*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1')))
}

async function install(from: NodeJS.Require): Promise<void> {
  let home: string
  try {
    home = from.resolve('tsx/package.json')
  } catch (error) {
    // Without tsx the import that follows throws a clear error, or another loader handles the file.
    if (codeOf(error) === 'MODULE_NOT_FOUND') return
    throw error
  }
  // By path, not by `tsx/esm/api`: the module that `require` finds under that name can't find its own hooks from a
  // thread.
  for (const api of ['./dist/esm/api/index.mjs', './dist/cjs/api/index.mjs']) {
    const { register } = (await import(new URL(api, pathToFileURL(home)).href)) as { register(): unknown }
    register()
  }
}
