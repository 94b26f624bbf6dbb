/** A real browser, where one is installed: Debian's chromium, or the one that PTQ_CHROMIUM names. */
import { spawnSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'

const executable = process.env.PTQ_CHROMIUM ?? 'chromium'

/** Why there is no browser; `undefined` where there is one. */
export const noBrowser =
  spawnSync(executable, ['--version']).status === 0
    ? undefined
    : `${executable} is not installed (on Debian: apt-get install chromium; elsewhere name one by PTQ_CHROMIUM)`

/** Starts the browser. Close it at the end. */
export function startBrowser(): Promise<Browser> {
  const executablePath = spawnSync('sh', ['-c', `command -v "${executable}"`], { encoding: 'utf8' }).stdout.trim()
  // Without its sandbox, which root and containers can't have: it opens pages of the tests only.
  return chromium.launch({ executablePath, chromiumSandbox: false, args: ['--disable-gpu'] })
}
