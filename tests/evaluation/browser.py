"""Drives headless Chromium through the DevTools protocol over a pair of pipes.

Playwright is the known library for this, but it downloads a browser of its own; this driver uses
the Chromium of the system and has no dependencies.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')

# Moves the ends of the pipes to file descriptors 3 and 4, where Chromium expects them, and runs it.
_LAUNCHER = '''
import os, sys
# First to higher numbers, so that neither overwrites the other.
os.dup2(int(sys.argv[1]), 103)
os.dup2(int(sys.argv[2]), 104)
os.dup2(103, 3)
os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])
'''


class Browser:
    """A headless browser with one page.

    Attributes:
      complaints: console messages, exceptions, and URLs requested from the network, since `open`.
    """

    def __init__(self, path):
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, '-c', _LAUNCHER, str(child_in), str(child_out), path,
             '--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking',
             '--disable-dev-shm-usage', '--remote-debugging-pipe', '--no-first-run',
             '--hide-scrollbars', f'--user-data-dir={self._profile.name}', 'about:blank'],
            pass_fds=(child_in, child_out), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(child_in)
        os.close(child_out)
        self._rest, self._number, self._session = b'', 0, None
        self.complaints, self._loaded = [], False
        targets = self._ask('Target.getTargets')['targetInfos']
        page = next(target['targetId'] for target in targets if target['type'] == 'page')
        self._session = self._ask('Target.attachToTarget', targetId=page, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self._ask(f'{domain}.enable')

    def open(self, path):
        """Loads a file and waits for its load event."""
        self.complaints, self._loaded = [], False
        self._ask('Page.navigate', url=path.as_uri())
        while not self._loaded:
            self._handle(self._receive())

    def run(self, code):
        """Evaluates a JavaScript expression in the page."""
        answer = self._ask('Runtime.evaluate', expression=code, returnByValue=True,
                           awaitPromise=True)
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    def press(self, key):
        """Presses a key, such as 'Enter' or 'ArrowDown', on the focused element."""
        text = {'text': '\r'} if key == 'Enter' else {}
        code = {'Enter': 13, 'Tab': 9, 'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39,
                'ArrowDown': 40}[key]
        for kind in ('keyDown', 'keyUp'):
            self._ask('Input.dispatchKeyEvent', type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **(text if kind == 'keyDown' else {}))

    def resize(self, width, height=900, dark=False):
        self._ask('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self._ask('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def screenshot(self, path, full_page=False):
        shot = self._ask('Page.captureScreenshot', captureBeyondViewport=full_page)
        with open(path, 'wb') as file:
            file.write(base64.b64decode(shot['data']))

    def close(self):
        self._session = None
        self._ask('Browser.close')  # ends all its processes, which write to the profile
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def _ask(self, method, **parameters):
        self._number += 1
        message = {'id': self._number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._out, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._receive()
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return answer['result']
            self._handle(answer)

    def _receive(self):
        while b'\0' not in self._rest:
            more = os.read(self._in, 1 << 16)
            assert more, f'Chromium ended with {self._process.poll()}'
            self._rest += more
        message, self._rest = self._rest.split(b'\0', 1)
        return json.loads(message)

    def _handle(self, event):
        method, params = event.get('method'), event.get('params', {})
        if method == 'Page.loadEventFired':
            self._loaded = True
        elif method == 'Runtime.exceptionThrown':
            self.complaints.append(params['exceptionDetails'])
        elif method == 'Runtime.consoleAPICalled':
            self.complaints.append(params['args'])
        elif method == 'Log.entryAdded':
            self.complaints.append(params['entry'])
        elif method == 'Network.requestWillBeSent':
            url = params['request']['url']
            if not url.startswith(('data:', 'file:')):
                self.complaints.append(url)
