// The package in users' tests, with runners that have their own realms, threads and loaders. They are 300 packages, so
// they are installed here and not with the development dependencies.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { promisify } from 'node:util'
import { Home, header } from './home.js'

const runners = ['vitest@4.1.12', 'jest@30.5.2']

const unreachable = /npm error code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)/

/** The reason why the runners could not be installed; CI accepts none. */
let missing: string | undefined
let home: Home

before(async () => {
  home = new Home()
  // Beside the folder of the package, which `npm install` would remove from node_modules.
  home.write('runners/package.json', '{"private":true}')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=1', ...runners]
  try {
    await promisify(execFile)('npm', args, { cwd: join(home.folder, 'runners') })
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    if (process.env.CI !== undefined || !unreachable.test(stderr)) throw error
    missing = `Expected npm to install ${runners.join(' and ')}, but no registry is reached`
  }
})
after(() => home.remove())

/** Runs a test file that has the runner's `it`; returns the output. */
async function runTest(t: TestContext, name: string, runner: (file: string) => string[]): Promise<void> {
  if (missing !== undefined) return t.skip(missing)
  const test = `${header}it('holds', async () => { ${home.check(`${name}-queues`)} }, 60_000)`
  home.write(`${name}.spec.js`, test)
  const report = JSON.parse(await home.node(...runner(`${name}.spec.js`)))
  assert.deepEqual({ passed: report.numPassedTests, failed: report.numFailedTests }, { passed: 1, failed: 0 })
}

const installed = (path: string) => join(home.folder, 'runners/node_modules', path)

describe('local runs and file queues work in tests', () => {
  for (const pool of ['threads', 'forks', 'vmThreads', 'vmForks']) {
    it(`of vitest, in its pool ${pool}`, async t => {
      await runTest(t, pool, file => [
        installed('vitest/vitest.mjs'),
        'run',
        `--pool=${pool}`,
        '--reporter=json',
        '--silent=true',
        '--globals',
        file,
      ])
    })
  }

  for (const place of ['its process', 'its workers']) {
    it(`of Jest, in ${place}`, async t => {
      const name = place.replace(' ', '-')
      home.write(
        'jest.config.json',
        '{"testMatch":["**/*.spec.js"],"transform":{},"modulePathIgnorePatterns":["runners"]}',
      )
      await runTest(t, name, file => [
        '--experimental-vm-modules',
        '--no-warnings',
        installed('jest/bin/jest.js'),
        '--json',
        '--silent',
        place === 'its process' ? '--runInBand' : '--maxWorkers=2',
        file,
      ])
    })
  }
})
