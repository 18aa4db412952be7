mod rtsp;
