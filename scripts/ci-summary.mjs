/**
 * Counts a CI run. Arguments are `step=exitcode`; a step's tests are in reports/<step>.json as vitest writes it. A step that failed without
 * a failed test counts as one failure, and so does one that should have written a report and did not; a soak without a report is one test.
 * The last line is `N passed, N failed`.
 */

import { existsSync, readFileSync } from 'node:fs'

const mayLackReport = ['soak']
let passed = 0
let failed = 0

for (const argument of process.argv.slice(2)) {
  const [step = '', code = ''] = argument.split('=')
  const path = `reports/${step}.json`
  let stepPassed = 0
  let stepFailed = 0
  if (existsSync(path)) {
    const report = JSON.parse(readFileSync(path, 'utf8'))
    stepPassed = report.numPassedTests
    stepFailed = report.numFailedTests
    for (const file of report.testResults)
      if (file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed')) stepFailed++
    if (stepPassed + stepFailed === 0) stepFailed = 1
  } else if (mayLackReport.includes(step) && code === '0') stepPassed = 1
  if (stepFailed === 0 && (code !== '0' || stepPassed === 0)) stepFailed = 1
  console.log(`${step}: ${stepPassed} passed, ${stepFailed} failed (exit code ${code})`)
  passed += stepPassed
  failed += stepFailed
}

if (passed === 0 && failed === 0) failed = 1
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
