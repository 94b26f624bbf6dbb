import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fittedLine } from '#ptq/cli/printing.js'

test('a line that does not fit shows a shortened id first, and ends with …', () => {
  const line = '  tasks.slow f6858cbf-3372-4c31-86d0-3e457ddd3037 for 9s 90% step 18'
  assert.equal(fittedLine(line, 80), line)
  assert.equal(fittedLine(line, 41), '  tasks.slow f6858cbf… for 9s 90% step 18')
  assert.equal(fittedLine(line, 37), '  tasks.slow f6858cbf… for 9s 90% st…')
})
