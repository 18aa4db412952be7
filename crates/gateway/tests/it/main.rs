mod onvif;
mod rtsp;
mod site;
mod stills;
mod vapix;
