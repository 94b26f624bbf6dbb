import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultKind, requestError, serverMessageOf } from '#ptq/backends/redis/faults.js'

/** What Redis 6.2 puts before the error of a command in a script, once or twice. */
const call = 'ERR Error running script (call to f_1f8f4cfba6f3375f8c4ec02b9de4361a5dea5c64): @user_script:12: '
/** What Redis 7 appends to it. */
const place = ' script: 1f8f4cfba6f3375f8c4ec02b9de4361a5dea5c64, on @user_script:12.'

const full = "OOM command not allowed when used memory > 'maxmemory'."
const readOnly = "READONLY You can't write against a read only replica."
const fewReplicas = 'NOREPLICAS Not enough good replicas to write.'
const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value'

for (const [version, wrapped] of [
  ['6.2', (error: string) => `${call}@user_script: 12: -${error}`],
  ['7', (error: string) => `${error}${place}`],
] as const) {
  test(`errors of commands in scripts are recognized as Redis ${version} words them`, () => {
    const reasonOf = (error: string) => requestError(new Error(wrapped(error)), 'insert').message
    assert.equal(faultKind(new Error(wrapped(readOnly))), 'busy')
    assert.equal(faultKind(new Error(wrapped(full))), 'final')
    assert.match(reasonOf(full), /^Could not insert: its memory is full \(maxmemory\).* \(OOM command not/)
    assert.match(reasonOf(readOnly), /: it is a read-only replica: name the primary \(READONLY You/)
    assert.match(reasonOf(fewReplicas), /: it refuses writes without enough replicas .* \(NOREPLICAS Not/)
  })
}

test('the error of a command itself, in a script of Redis 6.2, has its own code first', () =>
  assert.equal(serverMessageOf(new Error(`${call}${wrongType}`)), wrongType))

test('an error of the script itself stays as it is, whatever word is in it', () => {
  const own = `${call}user_script:12: attempt to compare nil with READONLY`
  assert.equal(serverMessageOf(new Error(own)), own)
  assert.equal(faultKind(new Error(own)), 'final')
})
