//! A connection that does not wait for ever: a client that is sent an answer and reads nothing of it, or next to nothing, is
//! cut off, and the memory that holds the answer is freed.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep_until;

/// Fewest bytes that a client takes within the time that is waited for it, so that one byte now and then is not enough.
const TAKEN_MIN: usize = 64 * 1024;

/// A stream whose writes are waited for so long and no longer.
#[derive(Debug)]
pub(crate) struct WriteTimeout<S> {
    stream: S,
    wait: Duration,
    /// When the wait ends; nothing while the client is not waited for.
    end: Option<Pin<Box<Sleep>>>,
    /// Bytes that the client took since it is waited for.
    taken: usize,
}

impl<S> WriteTimeout<S> {
    /// Waits for each write so long.
    pub(crate) fn new(stream: S, wait: Duration) -> Self {
        Self { stream, wait, end: None, taken: 0 }
    }

    /// The outcome of a write, unless the wait is over.
    fn judge(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.taken = self.taken.saturating_add(*written.as_ref().unwrap_or(&0));
            if self.taken >= TAKEN_MIN {
                self.calm();
            }
            return Poll::Ready(written);
        }
        if self.end.is_none() {
            self.taken = 0;
        }
        let wait = self.wait;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + wait)));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ends the wait for the client.
    fn calm(&mut self) {
        self.end = None;
        self.taken = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            // Everything that there was is written: an idle stream of events is no reason to cut it off.
            self.calm();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::io::duplex;

    use super::*;

    const WAIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn whoever_takes_nothing_is_cut_off() {
        let (ours, theirs) = duplex(64);
        let mut stream = WriteTimeout::new(ours, WAIT);
        let begun = Instant::now();
        let error = stream.write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= WAIT);
        drop(theirs);
    }

    #[tokio::test]
    async fn whoever_takes_a_byte_now_and_then_is_cut_off() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = WriteTimeout::new(ours, WAIT);
        let dribble = async {
            let mut byte = [0; 1];
            let mut ticks = tokio::time::interval(WAIT / 10);
            loop {
                ticks.tick().await;
                if theirs.read(&mut byte).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            error = stream.write_all(&[0; 1 << 20]) => {
                assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
            () = dribble => {}
        }
    }

    #[tokio::test]
    async fn whoever_reads_on_gets_everything_however_long_it_takes() {
        let (ours, mut theirs) = duplex(1 << 15);
        let mut stream = WriteTimeout::new(ours, WAIT);
        let read = async {
            let mut all = 0;
            let mut buffer = [0; 1 << 15];
            let mut ticks = tokio::time::interval(WAIT / 4);
            while all < 1 << 19 {
                ticks.tick().await;
                all += theirs.read(&mut buffer).await.unwrap();
            }
        };
        let write = async {
            stream.write_all(&[0; 1 << 19]).await.unwrap();
            stream.flush().await.unwrap();
        };
        let begun = Instant::now();
        tokio::join!(read, write);
        assert!(begun.elapsed() > WAIT);
    }

    #[tokio::test]
    async fn idle_time_between_writes_is_not_counted() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = WriteTimeout::new(ours, WAIT);
        for _ in 0..2 {
            let read = async {
                // A little late, so that the write has to wait for us.
                tokio::time::timeout(WAIT / 4, std::future::pending::<()>()).await.unwrap_err();
                theirs.read_exact(&mut [0; 100]).await.unwrap();
            };
            let write = async {
                stream.write_all(&[0; 100]).await.unwrap();
                stream.flush().await.unwrap();
            };
            tokio::join!(read, write);
            tokio::time::timeout(WAIT * 2, std::future::pending::<()>()).await.unwrap_err();
        }
    }
}
